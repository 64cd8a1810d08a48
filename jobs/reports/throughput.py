"""How much was done and how long it waited: the figures of the charts, counted in steps of time.

A job counts where it ended, so only the index on `changed_at` is read; a step that is over never changes again and
is remembered, so that a chart of a week costs a look at its last step.
"""

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from jobs.core.states import FINAL, State
from jobs.ledger.dialect import dialect

#: Upper bounds of the classes that waits are counted in, in seconds: fine enough to read a percentile from.
WAITS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10),
    *(15, 20, 30, 45, 60, 90, 120, 180, 300, 450, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 604_800),
)


@dataclass(frozen=True, slots=True)
class Span:
    """A chart's reach.

    Attributes:
        steps: how many steps it has.
        step_seconds: how long each is.
    """

    name: str
    steps: int
    step_seconds: int


SPANS = {span.name: span for span in (Span("hour", 60, 60), Span("day", 96, 900), Span("week", 84, 7200))}


@dataclass(frozen=True, slots=True)
class Step:
    """What ended between `start` and the next step; waits in seconds, None where nothing had begun."""

    start: datetime
    succeeded: int = 0
    dead: int = 0
    cancelled: int = 0
    wait_median: float | None = None
    wait_p95: float | None = None

    @property
    def total(self) -> int:
        """How many jobs ended."""
        return self.succeeded + self.dead + self.cancelled


_over: dict[str, dict[int, Step]] = {}
_lock = threading.Lock()


def throughput(span: Span, now: datetime) -> list[Step]:
    """Return the steps of a span, the last one being under way."""
    last = int(now.timestamp()) // span.step_seconds
    numbers = range(last - span.steps + 1, last + 1)
    with _lock:
        known = _over.setdefault(span.name, {})
        missing = next((number for number in numbers if number not in known), last)
        counted = _count(span, missing)
        # The one before the last may still miss what is being committed.
        known |= {number: _step(span, number, counted) for number in range(missing, last - 1)}
        for number in [number for number in known if number < numbers[0]]:
            del known[number]
        return [known.get(number) or _step(span, number, counted) for number in numbers]


def forget() -> None:
    """Forget the steps that are over: tests rewrite history."""
    _over.clear()


def percentile(waits: Sequence[int], share: float) -> float | None:
    """Return the wait that `share` of the jobs did not exceed, read between the bounds of its class."""
    total = sum(waits)
    if not total:
        return None
    wanted = share * total
    index, before = next(
        (index, running - number)
        for index, (number, running) in enumerate(zip(waits, itertools.accumulate(waits), strict=True))
        if number and running >= wanted
    )
    low = WAITS[index - 1] if index else 0.0
    high = WAITS[min(index, len(WAITS) - 1)]
    return low + (high - low) * (wanted - before) / waits[index]


_Counted = dict[int, dict[tuple[str, int], int]]


def _count(span: Span, first: int) -> _Counted:
    """Return, for each step from `first` on, how many ended in which state after which class of wait."""
    counted: _Counted = {}
    with connection.cursor() as cursor:
        cursor.execute(*_statement(span, first))
        for number, state, waited, count in cursor.fetchall():
            counted.setdefault(int(number), {})[state, -1 if waited is None else int(waited)] = count
    return counted


def _statement(span: Span, first: int) -> tuple[str, list[Any]]:
    sql = dialect()
    states = ", ".join(f"'{state}'" for state in sorted(FINAL))
    if sql.name == "postgresql":
        bounds = ", ".join(str(float(bound)) for bound in WAITS)
        number = f"floor(extract(epoch FROM changed_at) / {span.step_seconds})::bigint"
        waited = f"width_bucket(extract(epoch FROM started_at - run_at)::float, ARRAY[{bounds}]::float[])"
    else:
        number = f"CAST(strftime('%%s', changed_at) AS INTEGER) / {span.step_seconds}"
        seconds = "(julianday(started_at) - julianday(run_at)) * 86400.0"
        ladder = " ".join(f"WHEN {seconds} < {bound} THEN {index}" for index, bound in enumerate(WAITS))
        waited = f"CASE WHEN started_at IS NULL THEN NULL {ladder} ELSE {len(WAITS)} END"
    since = datetime.fromtimestamp(first * span.step_seconds, UTC)
    statement = (
        f"SELECT {number}, state, {waited}, count(*) FROM jobs_job"  # noqa: S608 (constants of this module)
        f" WHERE changed_at >= %s AND state IN ({states}) GROUP BY 1, 2, 3"
    )
    return statement, [sql.time(since)]


def _step(span: Span, number: int, counted: _Counted) -> Step:
    start = datetime.fromtimestamp(number * span.step_seconds, UTC)
    totals = dict.fromkeys(State, 0)
    waits = [0] * (len(WAITS) + 1)
    for (state, waited), count in counted.get(number, {}).items():
        totals[State(state)] += count
        if waited >= 0 and state != State.CANCELLED:
            waits[waited] += count
    return Step(
        start,
        totals[State.SUCCEEDED],
        totals[State.DEAD],
        totals[State.CANCELLED],
        percentile(waits, 0.5),
        percentile(waits, 0.95),
    )


def since(span: Span, now: datetime) -> datetime:
    """Return where a span begins."""
    return now - timedelta(seconds=span.steps * span.step_seconds)
