"""The account at the end: what became of every job, against what its transaction promised."""

from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.journal import Effects, Journal
from tests.chaos.limits import exceeded
from tests.chaos.plan import STEPS

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
        exceeded: limits that did not hold.
        followers: links, steps of chains, error links and chords' bodies that were due and are there.
        bodies: of these, those of chords.
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
    exceeded: list[str] = field(default_factory=list)
    followers: int = 0
    bodies: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        ended_badly = self.lost or self.unfinished or self.fallen
        untrue = self.overlapping or self.undead or self.unexplained or self.untimely or self.exceeded
        return not (ended_badly or untrue)


@dataclass(frozen=True)
class Row:
    """What the ledger says of one job.

    Attributes:
        attempts: those that did not succeed, as (outcome, error type).
        count: how many rows have this label.
        said: its latest error, and what holds it back.
        starts: when its attempts began, in seconds.
    """

    state: str
    attempts: list[tuple[str, str]]
    count: int = 1
    said: str = ""
    starts: tuple[float, ...] = ()


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
        exceeded=exceeded(journal, effects, {label: row.starts for label, row in rows.items()}),
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
    result.bodies += "," in kind and is_due
    if row.state not in {"succeeded", "dead", "cancelled"}:
        result.unfinished.append(f"{label} ({row.state}: {row.said})")
    if row.state == "dead" and kind != DOOMED:
        result.fallen.append(f"{label} ({row.said})")
    if kind == "journey":
        _judge_steps(result, label, row, effects)
    times = effects.finished(label)
    if row.state == "succeeded" and not (times and (kind != "written" or label in written)):
        result.lost.append(label)
    if times > 1:
        _judge_repetition(result, label, times, row)


def _judge_steps(result: Account, label: str, row: Row, effects: Effects) -> None:
    """Judge the steps of one job. An attempt that was cut off explains one that is done again: that which it was in."""
    times = {step: effects.finished(step) for step in (f"{label}.{number}" for number in range(STEPS))}
    result.lost += [step for step, count in times.items() if not count and row.state == "succeeded"]
    again = {step: count for step, count in times.items() if count > 1}
    result.repeated |= again
    if sum(again.values()) - len(again) > len(row.attempts):
        result.unexplained += again
    elif again:
        result.explanations["a step: its attempt ended between the effect and its record"] += len(again)


def _judge_repetition(result: Account, label: str, times: int, row: Row) -> None:
    result.repeated[label] = times
    explanation = _explanation(row)
    if explanation:
        result.explanations[explanation] += 1
    else:
        result.unexplained.append(label)


def _is_due(kind: str, rows: dict[str, Row]) -> bool:
    """Return whether a job was promised: a follower only is where all that it follows ended as it says."""
    end, _, before = kind.partition(":")
    return not before or all(label in rows and rows[label].state == end for label in before.split(","))


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
        said = " ".join(filter(None, [job.held_by, job.last_error[:100]]))
        begun = {job.started_at, *(attempt.started_at for attempt in job.attempts.all())} - {None}
        found[label] = Row(job.state, attempts, count, said, tuple(sorted(at.timestamp() for at in begun)))
    return found


def _label(job: Any) -> str:
    if not job.args:
        # One that was adopted from an odd message.
        return str(job.pk)
    # A follower's first argument is what it follows returned.
    return str(job.args[1] if job.task.endswith((".link", ".gathered")) else job.args[0])
