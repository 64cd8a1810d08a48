"""What the ledger forgets: ended jobs past their retention, with their attempts, and what else piles up."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction

from jobs.core.states import FINAL, State
from jobs.ledger.sql import changed, dialect, marks, rows


@dataclass(frozen=True, slots=True)
class Past:
    """Which ended jobs have outlived their use.

    Attributes:
        states: the final states meant.
        seconds: how long ago they ended at least.
        tasks: of these tasks only; of all where empty.
        other_than: of all tasks but these.
    """

    states: Collection[State]
    seconds: float
    tasks: Collection[str] = ()
    other_than: Collection[str] = ()

    def __post_init__(self) -> None:
        if not self.states or not set(self.states) <= FINAL:
            raise ValueError(f"states={self.states!r} is not valid: only jobs that have ended are forgotten.")


@transaction.atomic
def forget_jobs(past: Past, limit: int) -> int:
    """Delete up to `limit` such jobs, those that ended first, with their attempts. Dead letters are kept.

    One that is being replayed at this moment is passed over.
    """
    words = dialect()
    where, parameters = _condition(past)
    found = rows(
        f"SELECT id FROM jobs_job WHERE {where} ORDER BY changed_at LIMIT %s {words.skip_locked}",
        [*parameters, limit],
    )
    keys = [words.key(words.to_uuid(job_id)) for (job_id,) in found]
    if keys:
        _forget(keys)
    return len(keys)


def _condition(past: Past) -> tuple[str, list[object]]:
    words = dialect()
    states = [str(state) for state in past.states]
    # `changed_at`, which for an ended job is when it ended, has the index.
    where = f"state IN ({marks(states)}) AND changed_at <= {words.after}"
    parameters: list[object] = [*states, -past.seconds]
    for tasks, operator in ((past.tasks, "IN"), (past.other_than, "NOT IN")):
        if tasks:
            where += f" AND task {operator} ({marks(list(tasks))})"
            parameters += tasks
    return where, parameters


def _forget(keys: list[object]) -> None:
    ids = marks(keys)
    changed(f"UPDATE jobs_deadletter SET job_id = NULL WHERE job_id IN ({ids})", keys)
    changed(f"DELETE FROM jobs_attempt WHERE job_id IN ({ids})", keys)
    changed(f"DELETE FROM jobs_job WHERE id IN ({ids})", keys)


#: Tables of the engine that only grow, and the column that tells a row's age.
_AGES = {
    "jobs_deadletter": "archived_at",
    "jobs_schedulerun": "fired_at",
    "jobs_operatoraction": "at",
    "jobs_worker": "seen_at",
}


@transaction.atomic
def forget_rows(table: str, seconds: float, limit: int) -> int:
    """Delete up to `limit` rows of one of these tables that are as old as that."""
    words = dialect()
    age = _AGES[table]
    return changed(
        f"DELETE FROM {table} WHERE id IN"
        f" (SELECT id FROM {table} WHERE {age} <= {words.after} ORDER BY {age} LIMIT %s {words.skip_locked})",
        [-seconds, limit],
    )
