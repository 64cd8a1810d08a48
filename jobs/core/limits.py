"""Limits: how many jobs may begin in a time, and run at once. Pure; every time is in seconds from now.

Starts are spaced by the generic cell rate algorithm (GCRA, ITU-T I.371, annex A): of each limit one number is kept, the
theoretical arrival time of the next job (`tat`), and each start moves it on by an interval.
"""

import heapq
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

#: A start is given away at most so long before its time: well above the pause between two looks at a line, so that no
#: start goes unused, and short enough for a worker to keep the job meanwhile.
AHEAD_SECONDS = 1.0

#: The most that a burst or a concurrency can be: what a database's integer holds.
MOST_JOBS = 2**31 - 1

#: Rates are written with nine digits before the point at most.
_MOST_RATE = 10**9

_UNITS = {"s": 1, "m": 60, "h": 3600}

RULE = "a number above zero and a unit, such as 100/s, 10/m or 1/h"


class Kind(StrEnum):
    """What a limit or a pause is for. The value is what the ledger stores."""

    TASK = "task"
    QUEUE = "queue"
    KEY = "key"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class Rate:
    """How many jobs may begin in how many seconds."""

    number: float
    seconds: int

    @classmethod
    def read(cls, value: object) -> "Rate":
        """Return what `100/s` says, or a plain number, which is by the second as in Celery. Raises ValueError."""
        # Beyond that no rate is either; a whole number may have more digits than a float can.
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < _MOST_RATE:
            value = f"{value:f}/s"
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)/([smh])", value) if isinstance(value, str) else None
        if match is None or float(match[1]) <= 0:
            raise ValueError(f"{value!r} is no rate: it must be {RULE}")
        return cls(float(match[1]), _UNITS[match[2]])

    @property
    def interval(self) -> float:
        """Seconds from one start to the next in an even flow."""
        return self.seconds / self.number

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _UNITS.items() if seconds == self.seconds)
        return f"{self.number:.6f}".rstrip("0").rstrip(".") + f"/{unit}"


def is_rate(value: object) -> bool:
    """Return whether this says a rate."""
    try:
        Rate.read(value)
    except ValueError:
        return False
    return True


def _is_count(text: str) -> bool:
    """Return whether this is a whole number of jobs, one or more."""
    return text.isascii() and text.isdigit() and len(text) <= len(str(MOST_JOBS)) and 1 <= int(text) <= MOST_JOBS


class Limit(NamedTuple):
    """A limit's figures.

    Attributes:
        rate: as `Rate` reads it; None for no such limit.
        burst: how many may begin at one moment after a pause.
        concurrency: how many may run at once; None for no such limit.
        is_per_key: whether they hold for each key of a task, and not for all its jobs together.
    """

    rate: str | None = None
    burst: int = 1
    concurrency: int | None = None
    is_per_key: bool = False

    @classmethod
    def read(cls, text: object) -> "Limit":
        """Return what `100/s burst:20 concurrency:5` says.

        Raises:
            TypeError: it is no text.
            ValueError: it says something else, or nothing.
        """
        if not isinstance(text, str):
            raise TypeError("it is no text such as '100/s burst:20 concurrency:5'")
        rate: str | None = None
        figures: dict[str, int] = {}
        for word in text.split():
            name, colon, number = word.partition(":")
            if name in figures or (not colon and rate is not None):
                raise ValueError(f"{word!r} is the second figure of its sort: a limit has one")
            if not colon:
                rate = str(Rate.read(word))
            elif name in {"burst", "concurrency"} and _is_count(number):
                figures[name] = int(number)
            else:
                raise ValueError(f"{word!r} is no figure: it must be a rate, burst:NUMBER or concurrency:NUMBER")
        if rate is None and "concurrency" not in figures:
            raise ValueError("it limits nothing: it must have a rate such as 100/s, or concurrency:NUMBER")
        if rate is None and "burst" in figures:
            raise ValueError("burst: says nothing without a rate, whose jobs may begin together")
        return cls(rate, figures.get("burst", 1), figures.get("concurrency"))

    def __str__(self) -> str:
        figures = [
            f"rate_limit={self.rate!r}, burst={self.burst}" if self.rate else "",
            f"concurrency={self.concurrency}" if self.concurrency else "",
            "key=" if self.is_per_key else "",
        ]
        return ", ".join(filter(None, figures)) or "none"


@dataclass(slots=True)
class Gate:
    """A limit while it is decided what may begin.

    Attributes:
        rule: whose.
        interval: from one start to the next; None where any number may begin.
        burst: how many may begin at one moment after a pause.
        tat: when the next job of an even flow would arrive.
        free: how many more may run at once; None for any number.
        is_paused: whether none may begin at all.
    """

    rule: int
    interval: float | None = None
    burst: int = 1
    tat: float = 0.0
    free: int | None = None
    is_paused: bool = False

    @property
    def opens_in(self) -> float:
        """Seconds until another job may begin; infinite where one must end first, or somebody lets them go on."""
        if self.is_paused or (self.free is not None and self.free <= 0):
            return math.inf
        if self.interval is None:
            return 0.0
        return max(0.0, self.tat - (self.burst - 1) * self.interval)

    def let_through(self, at: float) -> None:
        """Count a job that begins then."""
        if self.free is not None:
            self.free -= 1
        if self.interval is not None:
            self.tat = max(self.tat, at) + self.interval


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Admission(Generic[T]):
    """What may begin, and when; and what must wait, and for which rule."""

    begin: Sequence[tuple[T, float]]
    wait: Sequence[tuple[T, int]]


def admit(waiting: Iterable[tuple[T, Sequence[Gate]]], most: int) -> Admission[T]:
    """Let jobs through their gates, which keep the count.

    Args:
        waiting: jobs in the order in which they are to begin, each with all that limits it.
        most: how many may begin now or soon. Those that nothing limits always may; what they leave is the others'.

    Returns:
        Those that may; and those that wait for a rule. What could begin but for `most` is in neither.
    """
    begin: list[tuple[T, float]] = []
    wait: list[tuple[T, int]] = []
    jobs = list(waiting)
    left = most - sum(not gates for _, gates in jobs)
    for job, gates in jobs:
        last = max(gates, key=lambda gate: gate.opens_in, default=None)
        at = 0.0 if last is None else last.opens_in
        if last is not None and at > AHEAD_SECONDS:
            wait.append((job, last.rule))
        elif left > 0 or not gates:
            left -= bool(gates)
            for gate in gates:
                gate.let_through(at)
            begin.append((job, at))
    return Admission(begin, wait)


def waits(jobs: Iterable[tuple[float, float]], limit: Limit) -> list[float]:
    """Return how long each of some jobs would have waited for a limit, in seconds.

    Args:
        jobs: when each was due, and how long it ran, in the order in which they were due; times from any one moment.
        limit: its figures.
    """
    interval = None if limit.rate is None else Rate.read(limit.rate).interval
    tat = -math.inf
    ends: list[float] = []
    found = []
    for due, seconds in jobs:
        at = due if interval is None else max(due, tat - (limit.burst - 1) * interval)
        if limit.concurrency is not None and len(ends) >= limit.concurrency:
            at = max(at, heapq.heappop(ends))
        if interval is not None:
            tat = max(tat, at) + interval
        if limit.concurrency is not None:
            heapq.heappush(ends, at + seconds)
        found.append(at - due)
    return found
