"""The account at the end: what became of every job, against what its transaction promised."""

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.journal import Effects, Journal

#: The kind of jobs that must end dead, without an effect.
DOOMED = "doomed"


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
        fallen: dead, though nothing but faults made them fail.
        untimely: in the ledger more than once, or although what they follow ended otherwise.
        followers: links, steps of chains and error links that were due and are there.
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
    fallen: list[str] = field(default_factory=list)
    untimely: list[str] = field(default_factory=list)
    followers: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        ended_badly = self.lost or self.unfinished or self.fallen
        return not (ended_badly or self.overlapping or self.undead or self.unexplained or self.untimely)


@dataclass(frozen=True)
class Row:
    """What the ledger says of one job.

    Attributes:
        attempts: those that did not succeed, as (outcome, error type).
        count: how many rows have this label.
        said: its latest error, and what holds it back.
    """

    state: str
    attempts: list[tuple[str, str]]
    count: int = 1
    said: str = ""


def account(journal: Journal, effects: Effects, rows: dict[str, Row], written: Container[str] = ()) -> Account:
    """Return the account.

    Args:
        journal: what the enqueuers did.
        effects: what the jobs did.
        rows: what the ledger says of each job, by label.
        written: labels that jobs wrote into the database.
    """
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
        _judge(result, label, journal.kinds[label], rows, effects, written)
    return result


def _judge(
    result: Account, label: str, kind: str, rows: dict[str, Row], effects: Effects, written: Container[str]
) -> None:
    row = rows.get(label)
    is_due = _is_due(kind, rows)
    if row is None:
        if is_due:
            result.lost.append(label)
        return
    if not is_due or row.count > 1:
        result.untimely.append(label)
    result.followers += ":" in kind and is_due
    if row.state not in {"succeeded", "dead", "cancelled"}:
        result.unfinished.append(f"{label} ({row.state}: {row.said})")
    if row.state == "dead" and kind != DOOMED:
        result.fallen.append(f"{label} ({row.said})")
    times = effects.finished(label)
    if row.state == "succeeded" and not (times and (kind != "written" or label in written)):
        result.lost.append(label)
    if times > 1:
        _judge_repetition(result, label, times, row)


def _judge_repetition(result: Account, label: str, times: int, row: Row) -> None:
    result.repeated[label] = times
    explanation = _explanation(row)
    if explanation:
        result.explanations[explanation] += 1
    else:
        result.unexplained.append(label)


def _is_due(kind: str, rows: dict[str, Row]) -> bool:
    """Return whether a job was promised: a follower only is where what it follows ended as it says."""
    end, _, before = kind.partition(":")
    return not before or (before in rows and rows[before].state == end)


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
    found: dict[str, Row] = {}
    for job in jobs.objects.filter(queue__startswith="chaos").prefetch_related("attempts"):
        attempts = [(attempt.outcome, attempt.error_type) for attempt in job.attempts.all()]
        label = _label(job)
        count = found[label].count + 1 if label in found else 1
        found[label] = Row(job.state, attempts, count, " ".join(filter(None, [job.held_by, job.last_error[:100]])))
    return found


def _label(job: Any) -> str:
    if not job.args:
        # One that was adopted from an odd message.
        return str(job.pk)
    # A link's first argument is what the link before it returned.
    return str(job.args[-1] if job.task.endswith(".link") else job.args[0])
