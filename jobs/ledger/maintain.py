"""Maintenance: what is due, what was never dispatched, what got lost on its way.

Any number of workers may call these at once: each row goes to one of them.
"""

import json
import random
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.core.states import WAITING, State
from jobs.ledger.dialect import Dialect, dialect
from jobs.ledger.queues import BY_MESSAGE, NOT_HELD, queues_with
from jobs.ledger.sql import NOT_PAUSED, RowLocked, changed, free, in_state, read_json, rows

#: The columns of a `Dispatchable`, in order.
DISPATCHABLE = "id, task, queue, args, kwargs, options, priority, attempt, parent_id, correlation_id, expires_at"

#: The condition on jobs that wait for a time.
DUE = "state IN ({})".format(", ".join(f"'{state}'" for state in sorted(WAITING)))


def undispatched_queues(sql: Dialect) -> str:
    """Return the query for queues of jobs without a message. Takes minus the seconds of grace, and queues to leave."""
    return queues_with(_undispatched(sql), f"{NOT_PAUSED} AND NOT queue {sql.is_one_of}")


def _undispatched(sql: Dialect) -> str:
    return f"dispatched_at IS NULL AND run_at <= {sql.after}"


@dataclass(frozen=True, slots=True)
class Dispatchable:
    """A row as its message needs it. `args` and `kwargs` are JSON texts."""

    id: uuid.UUID
    task: str
    queue: str
    args: str
    kwargs: str
    options: dict[str, Any] | None
    priority: int
    attempt: int
    parent_id: uuid.UUID | None
    correlation_id: str
    expires_at: datetime | None = None


def take_due(limit: int) -> list[Dispatchable]:
    """scheduled, retrying → queued for jobs whose time has come; they are marked dispatched and returned.

    The caller publishes them, and says `redispatch` of those it could not. Where it dies in between, they are
    re-sent as any lost message is.
    """
    sql = dialect()
    return _take(
        f"{DUE} AND run_at <= {sql.now} ORDER BY run_at LIMIT %s",
        [limit],
        f"state = '{State.QUEUED}', dispatched_at = {sql.now}, changed_at = {sql.now}",
    )


def take_undispatched(grace_seconds: float, limit: int, without: Sequence[str] = ()) -> list[Dispatchable]:
    """Mark dispatched, and return, queued jobs that have had no message for `grace_seconds` since they were due.

    Those of queues in `without` are left: the broker refuses these queues just now. Of each queue the oldest are taken.
    Where there are more than `limit`, chance says which queue comes first, lest one with many keep the others waiting.
    """
    sql = dialect()
    queues = [queue for (queue,) in rows(undispatched_queues(sql), [-grace_seconds, sql.array(without)])]
    random.shuffle(queues)
    taken: list[Dispatchable] = []
    for queue in queues:
        if len(taken) < limit:
            taken += _take(
                f"{NOT_HELD} AND queue = %s AND {_undispatched(sql)} {BY_MESSAGE} LIMIT %s",
                [queue, -grace_seconds, limit - len(taken)],
                f"dispatched_at = {sql.now}",
            )
    return taken


def take_suspects(queue: str, waited_seconds: float, limit: int) -> list[Dispatchable]:
    """Mark dispatched anew, and return, jobs of `queue` dispatched that long ago and still not claimed.

    The caller has made sure that their messages are gone.
    """
    sql = dialect()
    return _take(
        f"{NOT_HELD} AND queue = %s AND dispatched_at <= {sql.after} ORDER BY dispatched_at LIMIT %s",
        [queue, -waited_seconds, limit],
        f"dispatched_at = {sql.now}",
    )


def take_overtaken(queue: str, waited_seconds: float, limit: int) -> list[Dispatchable]:
    """Like `take_suspects`, for jobs overtaken by one that runs, is no more urgent, and was dispatched well after."""
    sql = dialect()
    # Of each priority the running job that was dispatched last says all; and what was dispatched after that less the
    # time waited is not even looked at, which is everything where nothing was overtaken.
    latest = (
        "latest AS MATERIALIZED (SELECT priority, MAX(dispatched_at) AS at FROM jobs_job"
        f" WHERE state = '{State.RUNNING}' AND queue = %s GROUP BY priority)"
    )
    # Those of tenants overtake each other by turns.
    early = (
        f"{NOT_HELD} AND queue = %s AND dispatched_at <= {sql.after} AND tenant IS NULL"
        f" AND dispatched_at <= (SELECT {sql.later('MAX(at)')} FROM latest)"
    )
    parameters: list[object] = [queue, queue, -waited_seconds, -waited_seconds]
    # For the first one alone PostgreSQL is sure to go by the index, whatever it believes the table to hold.
    if not rows(f"WITH {latest} SELECT 1 FROM jobs_job WHERE {early} ORDER BY dispatched_at LIMIT 1", parameters):
        return []
    return _take(
        f"{early} AND EXISTS (SELECT 1 FROM latest WHERE latest.priority <= jobs_job.priority"
        f" AND latest.at >= {sql.later('jobs_job.dispatched_at')}) ORDER BY dispatched_at LIMIT %s",
        [*parameters, waited_seconds, limit],
        f"dispatched_at = {sql.now}",
        before=f"{latest},",
    )


def job(job_id: uuid.UUID) -> Dispatchable | None:
    """Return a job, whatever its state."""
    found = rows(f"SELECT {DISPATCHABLE} FROM jobs_job WHERE id = %s", (dialect().key(job_id),))
    return dispatchable(found[0]) if found else None


def running_job(job_id: uuid.UUID, lease_id: str) -> Dispatchable | None:
    """Return the job if it runs under this lease, as its message needs it."""
    sql = dialect()
    found = rows(
        f"SELECT {DISPATCHABLE} FROM jobs_job WHERE id = %s AND {in_state(State.RUNNING)} AND lease_id = %s",
        (sql.key(job_id), lease_id),
    )
    return dispatchable(found[0]) if found else None


def suspect_queues(waited_seconds: float) -> list[str]:
    """Return the queues in which a dispatched job has waited that long unclaimed."""
    found = rows(queues_with(f"dispatched_at <= {dialect().after}", NOT_PAUSED), (-waited_seconds,))
    return [queue for (queue,) in found]


def mark_dispatched(job_ids: Sequence[uuid.UUID]) -> None:
    """Note that the broker has the messages of these jobs, which this process has enqueued or requeued.

    A row that has changed since then needs no note. It was claimed; or it came back to its queue, or a worker let its
    message go (`redispatch`), before its process came to note that: then it has had its message and needs another. One
    that somebody else's transaction holds goes without the note, and is dispatched once more.
    """
    if not job_ids:
        return
    sql = dialect()
    unmarked = (
        f"id {sql.is_one_of_ids} AND {in_state(State.QUEUED)} AND dispatched_at IS NULL AND held_by IS NULL"
        # As it was written, or as an operator has put it back into its queue (`operate.requeue`).
        " AND started_at IS NULL AND changed_at IN (created_at, run_at)"
    )
    changed(f"UPDATE jobs_job SET dispatched_at = {sql.now} WHERE {free(unmarked)}", [sql.ids(job_ids)])


def _let_go(sql: Dialect) -> str:
    """Return the change of a queued job whose message is gone.

    Where nobody has noted yet that there was one, that note is still to come, and must find that the row has changed:
    later than it was written, on SQLite too, whose clock tells milliseconds.
    """
    unnoted = f"CASE WHEN dispatched_at IS NULL THEN {sql.after_seconds('0.001')} ELSE changed_at END"
    return f"UPDATE jobs_job SET dispatched_at = NULL, changed_at = {unnoted}"


def redispatch(job_ids: Collection[uuid.UUID]) -> None:
    """Note that the broker has no message of these jobs: they are dispatched again.

    Raises:
        RowLocked: naming those that somebody else's transaction holds. The others are noted.
    """
    if not job_ids:
        return
    sql = dialect()
    waiting = f"id {sql.is_one_of_ids} AND {in_state(State.QUEUED)}"
    ids = [sql.ids(job_ids)]
    noted = rows(f"{_let_go(sql)} WHERE {free(waiting)} RETURNING id", ids)
    if len(noted) < len(job_ids) and (
        passed_by := {job_id for (job_id,) in rows(f"SELECT id FROM jobs_job WHERE {waiting}", ids)}
        - {job_id for (job_id,) in noted}
    ):
        raise RowLocked(map(sql.to_uuid, passed_by))


def redispatch_queue(queue: str) -> int:
    """Note that the broker has no messages of a queue that was paused; its jobs are dispatched anew."""
    sql = dialect()
    waiting = f"{NOT_HELD} AND queue = %s"
    return changed(f"{_let_go(sql)} WHERE {free(waiting)}", (queue,))


def try_to_write() -> None:
    """Have the database write nothing. Raises DatabaseError where it takes no writes, though it may be read."""
    changed("UPDATE jobs_worker SET seen_at = seen_at WHERE id IS NULL")


def _take(where: str, parameters: list[object], changes: str, before: str = "") -> list[Dispatchable]:
    sql = dialect()
    # MATERIALIZED: the planner must not run the locking, limited select more than once.
    taken = rows(
        f"WITH {before} taken AS MATERIALIZED (SELECT id FROM jobs_job WHERE {where} {sql.skip_locked})"
        f" UPDATE jobs_job SET {changes} WHERE id IN (SELECT id FROM taken) RETURNING {DISPATCHABLE}",
        parameters,
    )
    return [dispatchable(row) for row in taken]


def dispatchable(row: tuple[Any, ...]) -> Dispatchable:
    """Return a row read with the columns `DISPATCHABLE`."""
    sql = dialect()
    job_id, task, queue, args, kwargs, options, priority, attempt, parent_id, correlation_id, expires_at = row
    return Dispatchable(
        id=sql.to_uuid(job_id),
        task=task,
        queue=queue,
        args=_json_text(args),
        kwargs=_json_text(kwargs),
        options=read_json(options),
        priority=priority,
        attempt=attempt,
        parent_id=None if parent_id is None else sql.to_uuid(parent_id),
        correlation_id=correlation_id,
        expires_at=sql.to_time(expires_at),
    )


def _json_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def fates(job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[State, str]]:
    """Return the state and the latest error of jobs."""
    sql = dialect()
    found = rows(
        f"SELECT id, state, last_error FROM jobs_job WHERE id {sql.is_one_of_ids}",
        [sql.ids(job_ids)],
    )
    return {sql.to_uuid(job_id): (State(state), error) for job_id, state, error in found}
