"""Circuit breakers: what the failures of a dependency do to the jobs that need it. A pure state machine.

    closed ──failures──▶ open ──its time has come──▶ half-open ──the probe succeeds──▶ closed
                          ▲                             │
                          └───────the probe fails───────┘

See https://martinfowler.com/bliki/CircuitBreaker.html. Times are the ledger's, by the database's clock.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from jobs.core import outcome as outcomes
from jobs.core.backoff import pause
from jobs.core.outcome import Outcome, Reason
from jobs.errors import InvalidOption

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,49}")

#: What a breaker may be called.
NAME_RULE = "1 to 50 small letters, digits, dots, dashes and underscores, a letter or digit first"

#: A day. Whoever wants a dependency left alone for longer opens its breaker by hand.
_LONGEST_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Breaker:
    """A dependency, and when its breaker opens: declare it once, and name it in `@job(breaker=…)`.

    Attributes:
        name: of the dependency, such as `smtp`.
        failures: so many failures in a row open it.
        ratio: so large a share of failures among the outcomes of a window opens it, above 0 and up to 1.
        minimum: a window of fewer outcomes says nothing about the share.
        window: its length in seconds; when it is over, counting begins anew.
        pause: seconds from its opening to the first probe; it doubles with each probe that fails.
        longest_pause: no pause is longer, in seconds. Half of each is drawn by chance, so that breakers which opened
            together do not come back together.

    Raises:
        InvalidOption: for a name or figure it cannot have.
    """

    name: str
    failures: int = 5
    ratio: float = 0.5
    minimum: int = 20
    window: float = 60.0
    pause: float = 10.0
    longest_pause: float = 600.0

    def __post_init__(self) -> None:
        name: object = self.name
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise InvalidOption(f"Breaker: name={self.name!r} is not valid: it must be {NAME_RULE}.")
        for field in ("failures", "minimum"):
            value = getattr(self, field)
            self._check(field, is_valid=type(value) is int and value >= 1, rule="a whole number, one or more")
        self._check("ratio", is_valid=_is_number(self.ratio) and 0 < self.ratio <= 1, rule="above 0, and at most 1")
        for field in ("window", "pause", "longest_pause"):
            value = getattr(self, field)
            good = _is_number(value) and 0 < value <= _LONGEST_SECONDS
            self._check(field, is_valid=good, rule=f"seconds above zero, at most {_LONGEST_SECONDS:,}")
        rule = f"at least the first pause ({self.pause!r})"
        self._check("longest_pause", is_valid=self.longest_pause >= self.pause, rule=rule)

    def _check(self, field: str, *, is_valid: bool, rule: str) -> None:
        if not is_valid:
            raise InvalidOption(
                f"Breaker {self.name!r}: {field}={getattr(self, field)!r} is not valid: it must be {rule}."
            )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class BreakerState(StrEnum):
    """How a breaker stands. The values are what the ledger stores."""

    #: Jobs run, and what becomes of them is counted.
    CLOSED = "closed"
    #: Jobs are held back.
    OPEN = "open"
    #: Jobs are held back but one, the probe, which says whether they may run again.
    HALF_OPEN = "half_open"

    @property
    def words(self) -> str:
        """What people read."""
        return self.value.replace("_", "-")


class Verdict(StrEnum):
    """What an attempt's end says about the dependency."""

    GOOD = "good"
    BAD = "bad"
    #: Nothing: the job itself was at fault, was not wanted, or did not come to its end.
    NOTHING = "nothing"


def verdict(outcome: Outcome, *, lost_worker: bool) -> Verdict:
    """Return what the end of an attempt says about the dependency.

    A permanent error is the job's own, as is what is cancelled or put off. The death of a worker is the worker's.
    """
    match outcome:
        case outcomes.Succeeded():
            return Verdict.GOOD
        case outcomes.RetryIn() | outcomes.Dead(Reason.EXHAUSTED) if not lost_worker:
            return Verdict.BAD
    return Verdict.NOTHING


@dataclass(frozen=True, slots=True)
class Run:
    """Some outcomes in a row that are alike."""

    good: bool
    count: int


def runs(verdicts: Iterable[Verdict]) -> list[Run]:
    """Return verdicts as runs, in order, without those that say nothing."""
    found: list[Run] = []
    for one in verdicts:
        if one is Verdict.NOTHING:
            continue
        good = one is Verdict.GOOD
        if found and found[-1].good is good:
            found[-1] = Run(good, found[-1].count + 1)
        else:
            found.append(Run(good, 1))
    return found


@dataclass(frozen=True, slots=True)
class Status:
    """How a breaker stands, and what it has counted.

    Attributes:
        failures: failures in a row, while closed.
        window_start, window_total, window_failed: the window, and its outcomes.
        opened_at: since when it is not closed; None while it is.
        next_probe_at: from when a probe may run; None while it is closed, and where only an operator closes it.
        failed_probes: probes in a row that failed since it opened.
    """

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    window_start: datetime | None = None
    window_total: int = 0
    window_failed: int = 0
    opened_at: datetime | None = None
    next_probe_at: datetime | None = None
    failed_probes: int = 0

    @property
    def is_quiet(self) -> bool:
        """Whether a success would change nothing but counts."""
        return self.state is BreakerState.CLOSED and not self.failures

    def is_due(self, now: datetime) -> bool:
        """Return whether a probe may begin."""
        return self.state is BreakerState.OPEN and self.next_probe_at is not None and self.next_probe_at <= now


def counted(
    status: Status, ended: Iterable[Run], breaker: Breaker, now: datetime, random: Callable[[], float]
) -> Status:
    """Return how a breaker stands after attempts have ended, in their order. Only a failure opens it.

    While it is not closed they change nothing: they began before it opened. What counts then is the probe.
    """
    for run in ended:
        if status.state is not BreakerState.CLOSED:
            break
        status = _after_run(_in_window(status, breaker, now), run, breaker, now, random)
    return status


def _in_window(status: Status, breaker: Breaker, now: datetime) -> Status:
    start = status.window_start
    # A clock that was set back must not leave a window open until it has caught up.
    if start is not None and start <= now < start + timedelta(seconds=breaker.window):
        return status
    return replace(status, window_start=now, window_total=0, window_failed=0)


def _after_run(status: Status, run: Run, breaker: Breaker, now: datetime, random: Callable[[], float]) -> Status:
    total = status.window_total + run.count
    if run.good:
        return replace(status, failures=0, window_total=total)
    failures, failed = status.failures + run.count, status.window_failed + run.count
    # Both only grow within a run: if they hold at any of its failures, they hold at the last.
    if failures >= breaker.failures or (total >= breaker.minimum and failed >= breaker.ratio * total):
        return _opened(breaker, now, random)
    return replace(status, failures=failures, window_total=total, window_failed=failed)


def _opened(breaker: Breaker, now: datetime, random: Callable[[], float]) -> Status:
    seconds = pause(1, breaker.pause, breaker.longest_pause, random)
    return Status(BreakerState.OPEN, opened_at=now, next_probe_at=now + timedelta(seconds=seconds))


def probing(status: Status) -> Status:
    """Return how a breaker stands whose probe begins."""
    return replace(status, state=BreakerState.HALF_OPEN)


def probed(status: Status, verdict: Verdict, breaker: Breaker, now: datetime, random: Callable[[], float]) -> Status:
    """Return how a half-open breaker stands after its probe. One that says nothing is followed by another at once."""
    if verdict is Verdict.GOOD:
        return Status()
    if verdict is Verdict.NOTHING:
        return replace(status, state=BreakerState.OPEN, next_probe_at=now)
    failed = status.failed_probes + 1
    seconds = pause(failed + 1, breaker.pause, breaker.longest_pause, random)
    return replace(
        status, state=BreakerState.OPEN, next_probe_at=now + timedelta(seconds=seconds), failed_probes=failed
    )


def opened_by_hand(status: Status, now: datetime) -> Status:
    """Return how a breaker stands that a person opens: no probe runs until a person closes it."""
    return Status(BreakerState.OPEN, opened_at=status.opened_at or now)
