"""Pruning: ended jobs past their retention, with their attempts and steps, and what else piles up."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction

from jobs.core.states import FINAL, State
from jobs.ledger.dialect import Dialect, dialect
from jobs.ledger.sql import changed, free, placeholders, rows


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
def prune_jobs(past: Past, limit: int) -> int:
    """Delete up to `limit` such jobs, those that ended first, with their attempts and steps. Dead letters are kept.

    One that is being replayed at this moment is passed over, and so is one of which somebody's transaction holds the
    row, an attempt, a step or a dead letter.
    """
    sql = dialect()
    where, parameters = _condition(past)
    found = rows(
        f"SELECT id FROM jobs_job WHERE {where} ORDER BY changed_at LIMIT %s {_lock(sql)}",
        [*parameters, limit],
    )
    ids = {sql.to_uuid(job_id) for (job_id,) in found}
    for table in ("jobs_attempt", "jobs_attemptlog", "jobs_step", "jobs_webhookdelivery", "jobs_deadletter"):
        ids -= _held(table, ids)
    if ids:
        _delete([sql.key(job_id) for job_id in ids])
    return len(ids)


def _lock(sql: Dialect) -> str:
    # What is deleted must be locked against references as well.
    return sql.skip_locked.replace("NO KEY ", "")


def _held(table: str, ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Lock the rows of these jobs in another table. Returns the jobs of which somebody else holds one."""
    sql = dialect()
    of_them = f"FROM {table} WHERE job_id {sql.is_one_of_ids}"
    # What is not locked now is not there for long: nobody can add to a job whose row is locked.
    locked = rows(f"SELECT id, job_id {of_them} {_lock(sql)}", [sql.ids(ids)])
    there = rows(f"SELECT id, job_id {of_them}", [sql.ids(ids)])
    return {sql.to_uuid(job_id) for _, job_id in set(there) - set(locked)}


#: Holds for jobs whose results no chord's body may still want: while a group is to be followed, and is there.
_NOT_AWAITED = (
    "(group_id IS NULL OR NOT EXISTS (SELECT 1 FROM jobs_group WHERE jobs_group.id = jobs_job.group_id"
    " AND body IS NOT NULL AND followed_at IS NULL))"
)


def _condition(past: Past) -> tuple[str, list[object]]:
    sql = dialect()
    # A job that holds its unique key stands for calls to come.
    held = f"unique_key IS NOT NULL AND unique_expires_at > {sql.now}"
    where = f"state {sql.is_one_of} AND changed_at <= {sql.after} AND NOT COALESCE({held}, FALSE) AND {_NOT_AWAITED}"
    # `changed_at`, which for an ended job is when it ended, has the index.
    parameters: list[object] = [sql.array(str(state) for state in past.states), -past.seconds]
    for tasks, negation in ((past.tasks, ""), (past.other_than, "NOT ")):
        if tasks:
            where += f" AND {negation}(task {sql.is_one_of})"
            parameters.append(sql.array(tasks))
    return where, parameters


def _delete(keys: list[object]) -> None:
    ids = placeholders(keys)
    changed(f"UPDATE jobs_deadletter SET job_id = NULL WHERE job_id IN ({ids})", keys)
    for table in ("jobs_attempt", "jobs_attemptlog", "jobs_step", "jobs_webhookdelivery", "jobs_uniquecall"):
        changed(f"DELETE FROM {table} WHERE job_id IN ({ids})", keys)
    changed(f"DELETE FROM jobs_job WHERE id IN ({ids})", keys)


#: Tables of the engine that only grow, and the column that tells a row's age.
_AGES = {
    "jobs_deadletter": "archived_at",
    "jobs_schedulerun": "fired_at",
    "jobs_operatoraction": "at",
    "jobs_worker": "seen_at",
    "jobs_breakerchange": "at",
}


@transaction.atomic
def prune_rows(table: str, seconds: float, limit: int) -> int:
    """Delete up to `limit` rows of one of these tables that are as old as that."""
    sql = dialect()
    age = _AGES[table]
    old = free(f"{age} <= {sql.after} ORDER BY {age} LIMIT %s", table, _lock(sql))
    return changed(f"DELETE FROM {table} WHERE {old}", [-seconds, limit])


@transaction.atomic
def prune_groups(seconds: float, limit: int) -> int:
    """Delete up to `limit` groups that were made that long ago, and have ended as long ago or have no members left."""
    sql = dialect()
    old = free(
        f"created_at <= {sql.after} AND (ended_at <= {sql.after}"
        " OR NOT EXISTS (SELECT 1 FROM jobs_job WHERE group_id = jobs_group.id)) ORDER BY created_at LIMIT %s",
        "jobs_group",
        _lock(sql),
    )
    return changed(f"DELETE FROM jobs_group WHERE {old}", [-seconds, -seconds, limit])
