"""The search line of a job list: `task:mail.send state:dead kwargs.user_id:42 error:timeout since:1h`.

Pure: from text to a filter, and to what is wrong with the text. Words without a name are looked for, as one phrase,
in arguments and errors; a value with spaces stands in double quotes; all that is given must hold.
"""

import json
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from jobs.core.states import State
from jobs.operations.filters import JobFilter

#: What each name restricts, for the suggestions and the help.
NAMES = {
    "task": "the task's name, in full",
    "state": ", ".join(State),
    "queue": "the queue's name",
    "error": "words of the latest error",
    "kwargs.": "an argument's value: kwargs.user_id:42",
    "since": "enqueued since: 15m, 2h, 7d, 2026-01-31T08:30",
    "until": "enqueued before, said as for since",
    "correlation": "the correlation id",
    "parent": "the id of the job that enqueued it",
    "group": "the id of the group that it belongs to",
    "id": "a job's id",
}

_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d{1,6})(s|m|min|h|d|w)")
_TERM = re.compile(r'(?:(?P<name>[a-z_]+(?:\.[^\s:"]+)?):)?(?P<value>"(?:[^"\\]|\\.)*"|\S*)')


@dataclass(frozen=True, slots=True)
class Term:
    """One thing asked for. `name` is empty for words to be found anywhere."""

    name: str
    value: str
    quoted: bool = False

    def __str__(self) -> str:
        value = self.value
        if self.quoted or not value or re.search(r'[\s"]', value) or (not self.name and ":" in value):
            value = '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'
        return f"{self.name}:{value}" if self.name else value


@dataclass(frozen=True, slots=True)
class Search:
    """What a search line asks for.

    Attributes:
        terms: its parts, in order.
        problems: what in it cannot be meant, in words; nothing may be searched or changed before they are mended.
    """

    terms: tuple[Term, ...]
    filter: JobFilter
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))

    def values(self, name: str) -> list[str]:
        """Return what is given for a name."""
        return [term.value for term in self.terms if term.name == name]

    def having(self, name: str, value: str = "") -> str:
        """Return the line with this value as the only one for `name`, or with none."""
        kept = [str(term) for term in self.terms if term.name != name]
        return " ".join([*kept, str(Term(name, value))] if value else kept)


def parse(line: str, now: datetime) -> Search:
    """Read a search line."""
    terms = split(line)
    reading = _Reading(now)
    for term in terms:
        try:
            reading.take(term)
        except ValueError as exc:
            reading.problems.append(str(exc))
    return Search(tuple(terms), reading.filter(), tuple(reading.problems))


def split(line: str) -> list[Term]:
    """Return the parts of a search line."""
    found = []
    for match in _TERM.finditer(line.replace("\x00", "")):
        name, value = match["name"] or "", match["value"]
        if name and not _is_name(name):
            # No name of ours: a piece of an error or address, such as `http://…`.
            found.append(Term("", match[0]))
            continue
        quoted = len(value) > 1 and value[0] == value[-1] == '"'
        if name or value:
            found.append(Term(name, re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value, quoted))
    return found


def _is_name(name: str) -> bool:
    return name in NAMES or name.startswith("kwargs.")


def moment(text: str, now: datetime) -> datetime:
    """Return a time: an age such as `90m`, or a date, with or without a time of day, in ISO 8601.

    Raises:
        ValueError: it is neither.
    """
    age = _AGE.fullmatch(text)
    try:
        if age:
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo:
            # At the ends of the calendar some offsets lead out of it.
            return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time: write an age (30s, 15m, 2h, 7d, 1w) or a time such as 2026-01-31T08:30."
        ) from None
    return parsed.replace(tzinfo=now.tzinfo or UTC)


@dataclass
class _Reading:
    """A filter that is being put together."""

    now: datetime
    given: dict[str, Any] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    kwargs: list[tuple[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def take(self, term: Term) -> None:
        name, _, path = term.name.partition(".")
        if not name:
            self.words.append(term.value)
        elif not term.value and not term.quoted:
            raise ValueError(f"{term.name}: needs a value: {NAMES.get(term.name, NAMES['kwargs.'])}.")
        elif name == "kwargs":
            self.kwargs.append((path, _plain(term)))
        else:
            _TAKERS[name](self, term.value)

    def once(self, name: str, label: str, value: Any) -> None:
        if name in self.given and self.given[name] != value:
            raise ValueError(f"{label}: is given twice; give one.")
        self.given[name] = value

    def filter(self) -> JobFilter:
        return JobFilter(**self.given, text=" ".join(self.words), kwargs=tuple(self.kwargs))


def _plain(term: Term) -> Any:
    """Return an argument's value: a number, true, false or null where it reads as one and is not quoted."""
    if term.quoted:
        return term.value
    try:
        value = json.loads(term.value)
    except (ValueError, RecursionError):
        return term.value
    return term.value if isinstance(value, float) and not isfinite(value) else value


def _states(reading: _Reading, value: str) -> None:
    unknown = [word for word in value.split(",") if word not in set(State)]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no state: there are {', '.join(State)}.")
    states = (*reading.given.get("states", ()), *(State(word) for word in value.split(",")))
    reading.given["states"] = tuple(dict.fromkeys(states))


def _ids(reading: _Reading, value: str) -> None:
    reading.given["ids"] = (*reading.given.get("ids", ()), *(_uuid("id", word) for word in value.split(",")))


def _uuid(label: str, value: str) -> uuid.UUID:
    try:
        return uuid.UUID(value)
    except ValueError:
        raise ValueError(f"{label}: takes a whole id such as {uuid.UUID(int=0)}; {value!r} is none.") from None


_TAKERS: dict[str, Callable[[_Reading, str], None]] = {
    "task": lambda reading, value: reading.once("task", "task", value),
    "state": _states,
    "queue": lambda reading, value: reading.once("queue", "queue", value),
    "error": lambda reading, value: reading.once("error", "error", value),
    "since": lambda reading, value: reading.once("created_after", "since", moment(value, reading.now)),
    "until": lambda reading, value: reading.once("created_before", "until", moment(value, reading.now)),
    "correlation": lambda reading, value: reading.once("correlation_id", "correlation", value),
    "parent": lambda reading, value: reading.once("parent_id", "parent", _uuid("parent", value)),
    "group": lambda reading, value: reading.once("group_id", "group", _uuid("group", value)),
    "id": _ids,
}


def line(terms: Sequence[tuple[str, str]]) -> str:
    """Return the search line that asks for these names and values."""
    return " ".join(str(Term(name, value)) for name, value in terms)
