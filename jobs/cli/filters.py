"""What the commands take to choose jobs and dead letters."""

import json
import re
import uuid
from argparse import ArgumentParser, ArgumentTypeError, _ArgumentGroup
from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from jobs.cli.verb import Exit, Failed, Given
from jobs.core.correlation import VALID
from jobs.core.outcome import Reason
from jobs.core.states import State
from jobs.operations.filters import DeadLetterFilter, JobFilter

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
#: As words: an error repeats them as they are.
_STATES = [state.value for state in State]
_AGE = re.compile(r"(\d+)([smhdw])")
_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):[0-5]\d")


def moment(text: str) -> datetime:
    """Return a time: an age such as `90m` or `2d`, or a date and time in ISO 8601."""
    age = _AGE.fullmatch(text)
    try:
        if age:
            return timezone.now() - timedelta(**{_UNITS[age[2]]: int(age[1])})
        parsed = parse_datetime(text if len(text) > 10 else f"{text}T00:00")
    except (ValueError, OverflowError):
        parsed = None
    if parsed is None:
        raise ArgumentTypeError(
            f"{text!r} is not valid: it must be an age (30s, 90m, 2h, 7d, 1w) or a time such as 2026-01-31T08:30."
        )
    return parsed if timezone.is_aware(parsed) else timezone.make_aware(parsed)


def due(text: str) -> datetime:
    """Return a time to come: `90m` from now, the next `06:00`, or a date and time in ISO 8601."""
    now = timezone.localtime()
    if _TIME_OF_DAY.fullmatch(text):
        return _next(time.fromisoformat(text.zfill(5)), now)
    given = moment(text)
    return now + (now - given) if _AGE.fullmatch(text) else given


def _next(at: time, now: datetime) -> datetime:
    """Return when clocks of `now`'s time zone next show a time of day."""
    today = datetime.combine(now.date(), at, now.tzinfo)
    return today if today > now else datetime.combine(now.date() + timedelta(days=1), at, now.tzinfo)


def correlation(text: str) -> str:
    """Return a correlation id."""
    if not VALID.fullmatch(text):
        raise ArgumentTypeError(f"{text!r} is not valid: it must be 1 to 64 letters, digits or ._:-")
    return text


def argument(text: str) -> tuple[str, Any]:
    """Return an argument's name and value from `name=value`; the value is JSON where it can be read as such."""
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise ArgumentTypeError(f"{text!r} is not valid: it must be name=value, such as user_id=42.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def key(text: str) -> uuid.UUID:
    """Return an id."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not valid: an id is a UUID such as {uuid.UUID(int=0)}.") from None


def number(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number in a range."""

    def parse(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            raise ArgumentTypeError(f"{text!r} is not valid: it must be a whole number from {least} to {most}.")
        return int(text)

    return parse


def add_job_filter(parser: ArgumentParser) -> _ArgumentGroup:
    """Declare what chooses jobs."""
    group = parser.add_argument_group("which jobs", "All that is given must hold.")
    group.add_argument("--state", action="append", default=[], choices=_STATES, help="may be repeated")
    group.add_argument("--queue", default="")
    group.add_argument("--task", default="", metavar="NAME")
    group.add_argument("--text", "-q", default="", help="stands somewhere in the arguments or the latest error")
    group.add_argument("--error", default="", metavar="TEXT", help="stands somewhere in the latest error")
    group.add_argument(
        "--arg", action="append", default=[], type=argument, metavar="NAME=VALUE", help="an argument; may be repeated"
    )
    group.add_argument("--correlation-id", default="", metavar="ID")
    group.add_argument("--parent", type=key, metavar="ID", help="the job that enqueued it")
    group.add_argument("--group", type=key, metavar="ID", help="the group that it belongs to")
    _add_times(group, "enqueued")
    return group


def add_letter_filter(parser: ArgumentParser) -> _ArgumentGroup:
    """Declare what chooses dead letters."""
    group = parser.add_argument_group("which dead letters", "All that is given must hold.")
    group.add_argument("--queue", default="")
    group.add_argument("--task", default="", metavar="NAME")
    reasons = [reason.value for reason in Reason]
    group.add_argument("--reason", default="", choices=["", *reasons], metavar="REASON", help=", ".join(reasons))
    group.add_argument("--text", "-q", default="", help="stands somewhere in the error or the arguments")
    _add_times(group, "failed")
    return group


def _add_times(group: _ArgumentGroup, what: str) -> None:
    group.add_argument("--since", type=moment, metavar="WHEN", help=f"{what} since: 90m, 2d, 2026-01-31T08:30")
    group.add_argument("--until", type=moment, metavar="WHEN", help=f"{what} before")


def job_filter(given: Given) -> JobFilter:
    """Return the filter that the command line says."""
    return JobFilter(
        ids=tuple(given.get("ids") or ()),
        states=tuple(State(state) for state in given["state"]),
        queue=given["queue"],
        task=given["task"],
        text=given["text"],
        error=given["error"],
        kwargs=tuple(given["arg"]),
        correlation_id=given["correlation_id"],
        parent_id=given["parent"],
        group_id=given["group"],
        created_after=given["since"],
        created_before=given["until"],
    )


def letter_filter(given: Given, *, open_only: bool = True) -> DeadLetterFilter:
    """Return the filter that the command line says."""
    return DeadLetterFilter(
        ids=tuple(given.get("ids") or ()),
        queue=given["queue"],
        task=given["task"],
        reason=given["reason"],
        text=given["text"],
        failed_after=given["since"],
        failed_before=given["until"],
        open_only=open_only,
    )


def refuse_everything(selection: JobFilter | DeadLetterFilter, given: Given, *, what: str) -> None:
    """Raise Failed where nothing restricts a change and `--all` does not say that this is meant."""
    restricted = {name for name in selection.as_json() if name != "open_only"}
    if not restricted and not given["all"]:
        raise Failed(f"Say which {what}: give ids or a filter, or --all if you mean every one.", Exit.USAGE)
