"""Jobs that are held back for newer code: queued, and dispatched to nobody until what holds them is gone.

A job that the code of one worker cannot run waits for a worker with newer code, without an attempt. Whoever can run it
frees it; where nobody comes in time, it gives up.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.core.held_by import FOR_NEWER_CODE, HeldBy
from jobs.core.states import State
from jobs.ledger.attempts import Failure
from jobs.ledger.dialect import dialect
from jobs.ledger.maintain import DISPATCHABLE, Dispatchable, dispatchable
from jobs.ledger.sql import NO_LEASE, change_one, free, in_state, one, read_json, rows

#: Holds for jobs that wait for newer code; the condition of the index `jobs_job_held`.
NEEDS_NEWER_CODE = f"held_by IN ({', '.join(repr(by.value) for by in sorted(FOR_NEWER_CODE))})"


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job that is held back for newer code. `args` and `kwargs` are JSON texts.

    Attributes:
        since: when it was first held back since it was last enqueued.
        is_overdue: whether it has waited for newer code as long as it may.
    """

    id: uuid.UUID
    task: str
    args: str
    kwargs: str
    options: dict[str, Any] | None
    by: HeldBy
    since: datetime
    is_overdue: bool
    last_error: str


def hold_queued(job_id: uuid.UUID, by: HeldBy, failure: Failure) -> bool:
    """Hold back a queued job. Returns false where it does not wait any more. Raises RowLocked."""
    sql = dialect()
    change = (
        f"UPDATE jobs_job SET held_by = %s, held_since = COALESCE(held_since, {sql.now}), dispatched_at = NULL,"
        f" last_error = %s, changed_at = {sql.now}"
    )
    waits = f"id = %s AND {in_state(State.QUEUED)}"
    return change_one(job_id, waits, [sql.key(job_id)], change, [by, failure.summary])


def held(grace_seconds: float, limit: int, after: uuid.UUID | None = None) -> list[HeldJob]:
    """Return jobs that wait for newer code, in the order of their ids, those after `after` first of all."""
    sql = dialect()
    found = rows(
        f"SELECT id, task, args, kwargs, options, held_by, held_since, held_since <= {sql.after}, last_error"
        f" FROM jobs_job WHERE state = '{State.QUEUED}' AND {NEEDS_NEWER_CODE}{'' if after is None else ' AND id > %s'}"
        " ORDER BY id LIMIT %s",
        [-grace_seconds, *([] if after is None else [sql.key(after)]), limit],
    )
    return [
        HeldJob(
            id=sql.to_uuid(job_id),
            task=task,
            args=str(args),
            kwargs=str(kwargs),
            options=read_json(options),
            by=HeldBy(by),
            since=since,
            is_overdue=bool(overdue),
            last_error=error,
        )
        for job_id, task, args, kwargs, options, by, since, overdue, error in found
    ]


def unhold(job_ids: Sequence[uuid.UUID]) -> list[str]:
    """Let jobs go on that waited for newer code; they are dispatched as any other. Returns their queues."""
    if not job_ids:
        return []
    sql = dialect()
    where = f"id {sql.is_one_of_ids} AND {in_state(State.QUEUED)} AND {NEEDS_NEWER_CODE}"
    found = rows(
        f"UPDATE jobs_job SET held_by = NULL, dispatched_at = NULL, changed_at = {sql.now} WHERE {free(where)}"
        " RETURNING queue",
        [sql.ids(job_ids)],
    )
    return sorted({queue for (queue,) in found})


def take(job: HeldJob, lease_id: str, seconds: float) -> Dispatchable | None:
    """Queued → running for a held job, to end it under this lease. No attempt is counted: it does not run."""
    sql = dialect()
    waits = f"id = %s AND {in_state(State.QUEUED)} AND held_by = %s"
    row = one(
        f"UPDATE jobs_job SET state = '{State.RUNNING}', lease_id = %s, lease_expires_at = {sql.after},"
        f" changed_at = {sql.now} WHERE {free(waits)} RETURNING {DISPATCHABLE}",
        (lease_id, seconds, sql.key(job.id), job.by),
    )
    return None if row is None else dispatchable(row)


def hold_again(job: HeldJob, lease_id: str) -> bool:
    """Running → queued and held back as before, for one that was taken and could not be ended. False: lease lost."""
    sql = dialect()
    change = (
        f"UPDATE jobs_job SET state = '{State.QUEUED}', changed_at = {sql.now}, lease_id = NULL,"
        " lease_expires_at = NULL, cancel_requested_at = NULL"
    )
    return change_one(job.id, _TAKEN, (sql.key(job.id), lease_id), change, ())


def give_up(job: HeldJob, lease_id: str, failure: Failure) -> bool:
    """Running → dead for one that was taken. Its dead letter is with the broker. False where the lease was lost."""
    sql = dialect()
    change = (
        f"UPDATE jobs_job SET state = '{State.DEAD}', finished_at = {sql.now}, changed_at = {sql.now},"
        f" unique_key = NULL, last_error = %s, {NO_LEASE}"
    )
    return change_one(job.id, _TAKEN, (sql.key(job.id), lease_id), change, (failure.summary,))


#: A job taken under a lease, found by its id.
_TAKEN = f"id = %s AND {in_state(State.RUNNING)} AND lease_id = %s"
