"""`deadletters list`, `show`, `replay`, `discard`."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from functools import partial
from typing import Any

from jobs.cli import filters
from jobs.cli.changes import add_change_arguments, change
from jobs.cli.output import Output
from jobs.cli.pages import add_page_arguments, asked_page, tell_of_more
from jobs.cli.verb import Exit, Failed, Given, Verb, actor
from jobs.errors import EnqueueError, TransitionRefused
from jobs.models import DeadLetter
from jobs.operations import dead_letter_actions
from jobs.operations.dead_letter_json import dead_letter_json
from jobs.operations.filters import DeadLetterFilter


def _list_arguments(parser: ArgumentParser) -> None:
    filters.add_letter_filter(parser)
    parser.add_argument("--dealt-with", action="store_true", help="also those replayed or discarded")
    add_page_arguments(parser)


def _list(given: Given, out: Output) -> Exit:
    selection = filters.letter_filter(given, open_only=not given["dealt_with"])
    found = asked_page(selection.dead_letters(), "failed_at", given)
    out.json({"dead_letters": [dead_letter_json(letter) for letter in found.rows], "next_cursor": found.next_cursor})
    out.table(
        ["id", "task", "queue", "reason", "attempt>", "failed", "dealt with", "error"],
        [_row(letter) for letter in found.rows],
        empty="No dead letter matches.",
    )
    tell_of_more(found.next_cursor, out)
    return Exit.DONE


def _row(letter: DeadLetter) -> list[Any]:
    done = "replayed" if letter.replayed_at else "discarded" if letter.discarded_at else ""
    return [letter.pk, letter.task, letter.queue, letter.reason, letter.attempt, letter.failed_at, done, letter.error]


def _show_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", type=filters.key, help="the dead letter's id")


def _show(given: Given, out: Output) -> Exit:
    shown = dead_letter_json(_letter(given["id"]))
    out.json(shown)
    out.pairs([*shown.items()])
    return Exit.DONE


def _letter(key: Any) -> DeadLetter:
    letter = DeadLetter.objects.filter(pk=key).first()
    if letter is None:
        raise Failed(f"There is no dead letter {key}. It may have been pruned.")
    return letter


def _change_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", type=filters.key, metavar="id", help="these dead letters")
    filters.add_letter_filter(parser)
    add_change_arguments(parser)


def _replay_arguments(parser: ArgumentParser) -> None:
    _change_arguments(parser)
    parser.add_argument("--force", action="store_true", help="those replayed or discarded before, too")
    parser.add_argument(
        "--kwargs",
        type=_mapping,
        metavar="JSON",
        help="replay one dead letter with these arguments instead, as a new job",
    )


def _mapping(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise ArgumentTypeError(f"{text!r} is not valid JSON: {exc}.") from None
    if not isinstance(value, dict):
        raise ArgumentTypeError(f"{text!r} is not valid: it must be an object such as {{}}.")
    return value


def _replay(given: Given, out: Output) -> Exit:
    if given["kwargs"] is not None:
        return _replay_corrected(given, out)
    selection = _chosen(given, open_only=not given["force"])
    replay = partial(dead_letter_actions.replay, selection, actor=actor(), force=given["force"])
    return change(given, out, "Replay {} dead letters", replay)


def _replay_corrected(given: Given, out: Output) -> Exit:
    if len(given["ids"]) != 1:
        raise Failed("--kwargs takes the id of one dead letter.", Exit.USAGE)
    letter = _letter(given["ids"][0])
    if given["dry_run"]:
        out.json({"matched": 1, "changed": 0, "dry_run": True})
        out.line("It would become a new job. Nothing was changed.")
        return Exit.DONE
    try:
        job_id = dead_letter_actions.replay_corrected(letter, (), given["kwargs"], actor=actor(), force=given["force"])
    except (EnqueueError, TransitionRefused) as exc:
        raise Failed(str(exc)) from exc
    out.json({"matched": 1, "changed": 1, "dry_run": False, "job_id": str(job_id)})
    out.line(f"It became job {job_id}.")
    return Exit.DONE


def _discard(given: Given, out: Output) -> Exit:
    selection = _chosen(given, open_only=True)
    discard = partial(dead_letter_actions.discard, selection, actor=actor())
    return change(given, out, "Discard {} dead letters for good", discard)


def _chosen(given: Given, *, open_only: bool) -> DeadLetterFilter:
    selection = filters.letter_filter(given, open_only=open_only)
    filters.refuse_everything(selection, given, what="dead letters")
    if len(selection.ids) == 1:
        letter = _letter(selection.ids[0])
        if open_only and not letter.is_open:
            done = "replayed" if letter.replayed_at else "discarded"
            raise Failed(f"Dead letter {letter.pk} was {done} before. To replay it all the same say --force.")
    return selection


VERBS = [
    Verb(("deadletters", "list"), "list dead letters, the latest first", _list, _list_arguments),
    Verb(("deadletters", "show"), "show one dead letter", _show, _show_arguments),
    Verb(
        ("deadletters", "replay"),
        "run dead letters again",
        _replay,
        _replay_arguments,
        "Each one's job goes back to its queue, its history kept; a message that had no job is delivered anew.",
    ),
    Verb(("deadletters", "discard"), "set dead letters aside for good", _discard, _change_arguments),
]
