"""`flow breakers`, `flow open`, `flow close`."""

from argparse import ArgumentParser
from collections.abc import Callable

from django.utils import timezone

from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Given, Verb, actor, nothing
from jobs.operations import breakers as operations
from jobs.reports import breakers
from jobs.reports.flow_json import breaker_json, change_json

_COLUMNS = ["breaker", "state", "since", "waiting>", "next probe", "openings>", "why"]


def _breakers(given: Given, out: Output) -> Exit:
    found, now = breakers.every(), timezone.now()
    out.json({"breakers": [breaker_json(one, now) for one in found]})
    rows = [
        [
            one.name,
            one.status.state.words,
            one.status.opened_at,
            one.waiting,
            one.status.next_probe_at,
            one.openings,
            one.reason or (f"opened by {one.opened_by}" if one.opened_by else None),
        ]
        for one in found
    ]
    out.table(_COLUMNS, rows, empty="No task names a breaker.")
    return Exit.DONE


def _history_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("breaker")


def _history(given: Given, out: Output) -> Exit:
    name = _known(given["breaker"])
    found = breakers.history(name)
    out.json({"breaker": name, "history": [change_json(one) for one in found]})
    rows = [[one.at, one.state, one.actor or None, one.reason or None] for one in found]
    out.table(["when", "state", "by", "why"], rows, empty=f"{name} has never opened, as far as is kept.")
    return Exit.DONE


def _change_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("breaker")
    parser.add_argument("--reason", default="", help="why, for those who find it so")


def _changing(change: Callable[..., None], state: str, consequence: str) -> Callable[[Given, Output], Exit]:
    def run(given: Given, out: Output) -> Exit:
        name = _known(given["breaker"])
        change(name, actor=actor(), reason=given["reason"])
        out.json({"breaker": name, "state": state})
        out.line(f"Breaker {name} is {state}: {consequence}")
        return Exit.DONE

    return run


def _known(name: str) -> str:
    """Return the breaker's name. Raises Failed where it is a slip of the keyboard."""
    if breakers.find(name):
        return name
    known = ", ".join(one.name for one in breakers.every()) or "none"
    raise Failed(f"There is no breaker {name!r}. There are: {known}.")


_open = _changing(operations.open_breaker, "open", "its jobs wait until it is closed; what runs goes on.")
_close = _changing(operations.close_breaker, "closed", "its jobs go on, and their failures are counted anew.")

VERBS = [
    Verb(("flow", "breakers"), "list the circuit breakers", _breakers, nothing),
    Verb(("flow", "history"), "say when a breaker opened and closed, and why", _history, _history_arguments),
    Verb(("flow", "open"), "hold back the jobs that need a dependency", _open, _change_arguments),
    Verb(("flow", "close"), "let the jobs that need a dependency go on", _close, _change_arguments),
]
