"""The account at the end: what became of every job, against what its transaction promised."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.journal import Effects, Journal

#: Kinds of jobs that end dead, without an effect.
DOOMED = frozenset({"broken", "poison"})


@dataclass
class Account:
    """Every job, accounted for.

    Attributes:
        lost: committed, and neither ended nor, where it succeeded, with an effect.
        overlapping: two executions at once.
        undead: effects, or rows, of jobs that were rolled back.
        unfinished: not in a final state.
        repeated: executed in full more than once, with the number of times.
        unexplained: repeated without an attempt that was cut short by a fault.
    """

    committed: int = 0
    rolled_back: int = 0
    unknown: int = 0
    states: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    overlapping: list[str] = field(default_factory=list)
    undead: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    repeated: dict[str, int] = field(default_factory=dict)
    explanations: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.overlapping or self.undead or self.unfinished or self.unexplained)


@dataclass(frozen=True)
class Row:
    """What the ledger says of one job."""

    state: str
    attempts: list[tuple[str, str]]


def account(journal: Journal, effects: Effects, rows: dict[str, Row]) -> Account:
    """Return the account. `rows` has each job's state and its attempts, as (outcome, error type), by label."""
    result = Account(
        committed=len(journal.with_end("committed")),
        rolled_back=len(journal.with_end("rolledback")),
        unknown=len(journal.with_end("unknown")),
        states=Counter(row.state for row in rows.values()),
        overlapping=effects.overlaps(),
    )
    for label in journal.with_end("rolledback"):
        if label in rows or label in effects.runs:
            result.undead.append(label)
    for label in [*journal.with_end("committed"), *(label for label in journal.with_end("unknown") if label in rows)]:
        _judge(result, label, journal.kinds[label], rows, effects)
    return result


def _judge(result: Account, label: str, kind: str, rows: dict[str, Row], effects: Effects) -> None:
    row = rows.get(label)
    times = effects.finished(label)
    if row is None:
        if not _never_due(kind, rows):
            result.lost.append(label)
        return
    if row.state not in {"succeeded", "dead", "cancelled"}:
        result.unfinished.append(f"{label} ({row.state})")
    if kind not in DOOMED and row.state == "succeeded" and not times:
        result.lost.append(label)
    if times > 1:
        result.repeated[label] = times
        explanation = _explanation(row)
        if explanation:
            result.explanations[explanation] += 1
        else:
            result.unexplained.append(label)


def _never_due(kind: str, rows: dict[str, Row]) -> bool:
    """Return whether a job is a link of a chain that ended before it: then it was never promised."""
    _, _, before = kind.partition(":")
    if not before:
        return False
    there = rows.get(before)
    return there is None or there.state != "succeeded"


def _explanation(row: Row) -> str:
    """Return why an effect may have happened twice: an attempt that was cut off after it, as the ledger recorded."""
    for outcome, error in row.attempts:
        if error in {"WorkerLost", "WorkerStopped", "TimeLimitExceeded"}:
            return f"{error}: the process died between the effect and its record"
        if outcome == "refused":
            return "refused: the lease was lost while the record could not be written"
    return ""


def rows_of(jobs: Any) -> dict[str, Row]:
    """Return the ledger's rows by label; every chaos job names its label in its arguments."""
    found = {}
    for job in jobs.objects.filter(queue__startswith="chaos").prefetch_related("attempts"):
        # A link's first argument is what the link before it returned.
        label = str(job.args[-1] if job.task.endswith(".link") else job.args[0])
        found[label] = Row(job.state, [(attempt.outcome, attempt.error_type) for attempt in job.attempts.all()])
    return found
