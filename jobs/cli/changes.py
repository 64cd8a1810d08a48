"""Changing many at once: first how many, then the question, then the change."""

import sys
from argparse import ArgumentParser

from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Given
from jobs.operations.bulk import Change, Result
from jobs.operations.result_json import result_json


def add_change_arguments(parser: ArgumentParser) -> None:
    """Declare what every change of many takes."""
    parser.add_argument("--all", action="store_true", help="every one, where neither id nor filter is given")
    parser.add_argument("--dry-run", action="store_true", help="say how many it would concern, and change nothing")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask for confirmation")


def change(given: Given, out: Output, what: str, act: Change) -> Exit:
    """Count, ask, change and report; `what` says the change in words, such as `Retry {} jobs`."""
    result = act(dry_run=True)
    if given["dry_run"] or not result.matched:
        _report(out, result, dry_run=given["dry_run"])
        return Exit.DONE
    if not _is_named(given, result) and not given["yes"]:
        confirm(what.format(f"{result.matched:,}"))
    result = _to_the_end(act)
    _report(out, result, dry_run=False)
    return Exit.DONE if result.changed else Exit.FAILED


def _to_the_end(act: Change) -> Result:
    """Make the change, again where its time did not suffice: here nobody waits for an answer."""
    result = whole = act(dry_run=False)
    while result.left and result.changed:
        result = act(dry_run=False)
        refused = {one.id: one for one in (*whole.refused, *result.refused)}
        whole = Result(whole.matched, whole.changed + result.changed, tuple(refused.values()), result.left)
    return whole


def _is_named(given: Given, result: Result) -> bool:
    """Return whether one row was meant, by its id; then its owner has confirmed it by typing it."""
    return len(given["ids"]) == 1 and result.matched == 1


def confirm(question: str) -> None:
    """Ask whether to do something. Raises Failed where the answer is no, or nobody is there to give it."""
    if not sys.stdin.isatty():
        raise Failed(f"{question}? Say --yes to do it without being asked.", Exit.NOT_CONFIRMED)
    if input(f"{question}? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise Failed("Nothing was changed.", Exit.NOT_CONFIRMED)


def _report(out: Output, result: Result, *, dry_run: bool) -> None:
    out.json(result_json(result, dry_run=dry_run))
    if not result.matched:
        out.line("Nothing matches in a state that allows it.")
    elif dry_run:
        out.line(f"It would concern {result.matched:,}. Nothing was changed.")
    else:
        out.line(f"{result.changed:,} of {result.matched:,} changed.")
        for refusal in result.refused:
            out.line(f"{refusal.id} cannot be changed: {refusal.why}")
