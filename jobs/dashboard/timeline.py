"""A job's life, drawn to scale: from the row and its failed attempts to stretches of time. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from jobs.core.states import FINAL, State

#: The width of the drawing, and the least of a stretch in it, so that a millisecond beside an hour is seen.
WIDTH, LEAST = 1000.0, 4.0

#: Between a step and the one that follows it at once.
GAP = 1.5


class Run(Protocol):
    """An attempt that did not succeed."""

    number: int
    outcome: str
    error_type: str
    started_at: datetime | None
    finished_at: datetime


class Life(Protocol):
    """What the ledger says of a job."""

    state: str
    attempt: int
    created_at: datetime
    run_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    worker: str
    last_error: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time that a job spent in one way.

    Attributes:
        state: whose hue it has.
        what: in words.
        is_run: whether the job ran; else it waited.
        ahead: whether it is yet to come.
        x, width: its place in a drawing that is `WIDTH` wide.
    """

    state: State
    what: str
    start: datetime
    end: datetime
    is_run: bool = False
    ahead: bool = False
    x: float = 0.0
    width: float = 0.0

    @property
    def took(self) -> timedelta:
        """How long it was, or will be."""
        return self.end - self.start


class Done(Protocol):
    """A step that a job's task has done, or a loop it has come far in."""

    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a step is in the drawing."""

    x: float
    width: float


def marks(steps: Iterable[Done], stretches: Sequence[Stretch]) -> list[Mark]:
    """Return the places of steps among the stretches of their job's life."""
    return [_mark(step, [one for one in stretches if not one.ahead]) for step in steps]


def _mark(step: Done, past: Sequence[Stretch]) -> Mark:
    start, end = _x_of(step.started_at, past), _x_of(step.finished_at, past)
    width = max(end - start - GAP, LEAST / 2)
    return Mark(round(min(start, WIDTH - width), 2), round(width, 2))


def _x_of(at: datetime, stretches: Sequence[Stretch]) -> float:
    for stretch in stretches:
        if at <= stretch.end:
            share = (at - stretch.start) / stretch.took if stretch.took else 0.0
            return stretch.x + stretch.width * max(share, 0.0)
    return WIDTH


def timeline(job: Life, attempts: Iterable[Run], now: datetime) -> list[Stretch]:
    """Return the stretches of a job's life, in order, placed to scale."""
    return _placed(list(_stretches(job, attempts, now)))


def _stretches(job: Life, attempts: Iterable[Run], now: datetime) -> Iterator[Stretch]:
    at, waiting = job.created_at, State.QUEUED
    outcome: State | None = None
    for run in sorted((run for run in attempts if run.started_at), key=lambda run: run.started_at or at):
        started = max(run.started_at or at, at)
        yield from _wait(waiting, at, started)
        outcome = State(run.outcome) if run.outcome in set(State) else State.RETRYING
        finished = max(run.finished_at, started)
        yield Stretch(outcome, f"attempt {run.number}: {run.error_type}", started, finished, is_run=True)
        at, waiting = finished, State.RETRYING if outcome is State.RETRYING else State.QUEUED
    # Between the end of its last attempt and the note that it ended nothing was waited for.
    if outcome is None or outcome != job.state or outcome not in FINAL:
        yield from _latest(job, at, waiting, now)


def _latest(job: Life, at: datetime, waiting: State, now: datetime) -> Iterator[Stretch]:
    """Yield what no row of an attempt tells: the run that goes on or succeeded, or the wait at the end."""
    state = State(job.state)
    if state in {State.RUNNING, State.SUCCEEDED} and job.started_at is not None and job.started_at >= at:
        yield from _before(job, waiting, at, job.started_at)
        end = job.finished_at or max(now, job.started_at)
        what = f"attempt {job.attempt}" + ("" if state is State.SUCCEEDED else ", still running")
        yield Stretch(state, what, job.started_at, end, is_run=True)
    elif state not in FINAL:
        yield from _wait(State.QUEUED if state is State.RUNNING else state, at, max(now, at))
        if state in {State.SCHEDULED, State.RETRYING} and job.run_at > now:
            yield Stretch(state, "until it is due", now, job.run_at, ahead=True)
    elif job.finished_at is not None and job.finished_at > at:
        yield from _wait(waiting, at, job.finished_at)


def _before(job: Life, waiting: State, start: datetime, end: datetime) -> Iterator[Stretch]:
    """Yield the wait before a run. A job's row knows of no run that was no attempt, but that it was due later since."""
    due = min(job.run_at, end) if start == job.created_at else start
    if due > start:
        why, _, _ = job.last_error.partition(":")
        what = f"ran, and went back to its queue: {why}" if why else _WAITS[State.SCHEDULED]
        yield Stretch(State.SCHEDULED, what, start, due)
    yield from _wait(waiting, max(due, start), end)


_WAITS = {
    State.QUEUED: "waited in the queue",
    State.SCHEDULED: "waited for its time",
    State.RETRYING: "waited before the next attempt",
}


def _wait(state: State, start: datetime, end: datetime) -> Iterator[Stretch]:
    if end > start:
        yield Stretch(state, _WAITS[state], start, end)


def _placed(stretches: Sequence[Stretch]) -> list[Stretch]:
    total = sum(stretch.took.total_seconds() for stretch in stretches) or 1.0
    room = max(WIDTH - LEAST * len(stretches), 0.0)
    placed, x = [], 0.0
    for stretch in stretches:
        width = LEAST + room * stretch.took.total_seconds() / total
        placed.append(
            Stretch(
                stretch.state,
                stretch.what,
                stretch.start,
                stretch.end,
                is_run=stretch.is_run,
                ahead=stretch.ahead,
                x=round(x, 2),
                width=round(width, 2),
            )
        )
        x += width
    return placed
