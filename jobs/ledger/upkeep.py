"""Housekeeping: what is due, what was never dispatched, what got lost, whose lease ran out.

Any number of workers may call these at once: each row goes to one of them.
"""

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.core.states import WAITING, State
from jobs.ledger.sql import NOT_PAUSED, changed, dialect, in_state, marks, rows

#: The columns of a `Dispatchable`, in order.
DISPATCHABLE = "id, task, queue, args, kwargs, options, priority, attempt, parent_id, correlation_id"

_WAITING = ", ".join(f"'{state}'" for state in sorted(WAITING))


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


@dataclass(frozen=True, slots=True)
class Overdue:
    """A running job whose lease ran out: its worker is gone."""

    id: uuid.UUID
    lease_id: str
    task: str
    worker: str


def take_due(limit: int) -> list[Dispatchable]:
    """scheduled, retrying → queued for jobs whose time has come; they are marked dispatched and returned.

    The caller publishes them, and says `undispatch` of those it could not. Where it dies in between, they are
    re-sent as any lost message is.
    """
    words = dialect()
    return _take(
        f"state IN ({_WAITING}) AND run_at <= {words.now} ORDER BY run_at LIMIT %s",
        [limit],
        f"state = '{State.QUEUED}', dispatched_at = {words.now}, changed_at = {words.now}",
    )


def take_undispatched(grace_seconds: float, limit: int, without: Sequence[str] = ()) -> list[Dispatchable]:
    """Mark dispatched, and return, queued jobs that have had no message for `grace_seconds` since they were due.

    Those of queues in `without` are left: the broker refuses these queues just now.
    """
    words = dialect()
    others = f" AND queue NOT IN ({marks(without)})" if without else ""
    return _take(
        f"state = '{State.QUEUED}' AND dispatched_at IS NULL AND run_at <= {words.after} AND {NOT_PAUSED}{others}"
        " ORDER BY run_at LIMIT %s",
        [-grace_seconds, *without, limit],
        f"dispatched_at = {words.now}",
    )


def take_suspects(queue: str, waited_seconds: float, limit: int) -> list[Dispatchable]:
    """Mark dispatched anew, and return, jobs of `queue` dispatched that long ago and still not claimed.

    The caller has made sure that their messages are gone.
    """
    words = dialect()
    return _take(
        f"state = '{State.QUEUED}' AND queue = %s AND dispatched_at <= {words.after} ORDER BY dispatched_at LIMIT %s",
        [queue, -waited_seconds, limit],
        f"dispatched_at = {words.now}",
    )


def take_overtaken(queue: str, waited_seconds: float, limit: int) -> list[Dispatchable]:
    """Like `take_suspects`, for jobs overtaken by one that runs, is no more urgent, and was dispatched well after."""
    words = dialect()
    return _take(
        f"state = '{State.QUEUED}' AND queue = %s AND dispatched_at <= {words.after} AND EXISTS ("
        f"SELECT 1 FROM jobs_job AS later WHERE later.state = '{State.RUNNING}' AND later.queue = jobs_job.queue"
        f" AND later.priority <= jobs_job.priority AND later.dispatched_at >= {words.later('jobs_job.dispatched_at')}"
        ") ORDER BY dispatched_at LIMIT %s",
        [queue, -waited_seconds, waited_seconds, limit],
        f"dispatched_at = {words.now}",
    )


def running_job(job_id: uuid.UUID, lease_id: str) -> Dispatchable | None:
    """Return the job if it runs under this lease, as its message needs it."""
    words = dialect()
    found = rows(
        f"SELECT {DISPATCHABLE} FROM jobs_job WHERE id = %s AND {in_state(State.RUNNING)} AND lease_id = %s",
        (words.key(job_id), lease_id),
    )
    return dispatchable(found[0]) if found else None


def suspect_queues(waited_seconds: float) -> list[str]:
    """Return the queues in which a dispatched job has waited that long unclaimed."""
    words = dialect()
    found = rows(
        f"SELECT DISTINCT queue FROM jobs_job WHERE state = '{State.QUEUED}'"
        f" AND dispatched_at <= {words.after} AND {NOT_PAUSED}",
        (-waited_seconds,),
    )
    return [queue for (queue,) in found]


def mark_dispatched(job_ids: Sequence[uuid.UUID]) -> None:
    """Note that the broker has the messages of these jobs.

    Those already claimed need no note; and one that was claimed and handed back has had its message.
    """
    if not job_ids:
        return
    words = dialect()
    changed(
        f"UPDATE jobs_job SET dispatched_at = {words.now} WHERE {in_state(State.QUEUED)} AND dispatched_at IS NULL"
        f" AND attempt = attempt_base AND id IN ({marks(job_ids)})",
        [words.key(job_id) for job_id in job_ids],
    )


def undispatch(job_ids: Collection[uuid.UUID]) -> None:
    """Note that the broker has no message of these jobs: they are dispatched again."""
    if not job_ids:
        return
    words = dialect()
    ids = list(job_ids)
    changed(
        f"UPDATE jobs_job SET dispatched_at = NULL WHERE {in_state(State.QUEUED)} AND id IN ({marks(ids)})",
        [words.key(job_id) for job_id in ids],
    )


def renew(lease_ids: Collection[str], seconds: float) -> None:
    """Renew all leases of a worker in one statement. A lease that was lost stays lost."""
    if not lease_ids:
        return
    words = dialect()
    leases = list(lease_ids)
    changed(
        f"UPDATE jobs_job SET lease_expires_at = {words.after} WHERE state = '{State.RUNNING}'"
        f" AND lease_id IN ({marks(leases)})",
        [seconds, *leases],
    )


def leased(lease_id: str) -> list[uuid.UUID]:
    """Return the jobs that run under this lease: one, or those of a batch."""
    found = rows(f"SELECT id FROM jobs_job WHERE state = '{State.RUNNING}' AND lease_id = %s", (lease_id,))
    return [dialect().to_uuid(job_id) for (job_id,) in found]


def redispatch_queue(queue: str) -> int:
    """Note that the broker has no messages of a queue that was paused; its jobs are dispatched anew."""
    return changed(
        f"UPDATE jobs_job SET dispatched_at = NULL WHERE state = '{State.QUEUED}' AND queue = %s",
        (queue,),
    )


def overdue(limit: int) -> list[Overdue]:
    """Return running jobs whose lease ran out. Who wants to end one takes over its lease first."""
    words = dialect()
    found = rows(
        f"SELECT id, lease_id, task, worker FROM jobs_job WHERE state = '{State.RUNNING}'"
        f" AND lease_expires_at <= {words.now} ORDER BY lease_expires_at LIMIT %s",
        (limit,),
    )
    return [Overdue(words.to_uuid(job_id), lease_id, task, worker) for job_id, lease_id, task, worker in found]


def take_over(job: Overdue, lease_id: str, seconds: float) -> bool:
    """Make an overdue job's lease one's own, to end it. Returns false where it was renewed or taken meanwhile."""
    words = dialect()
    return (
        changed(
            f"UPDATE jobs_job SET lease_id = %s, lease_expires_at = {words.after} WHERE id = %s"
            f" AND state = '{State.RUNNING}' AND lease_id = %s AND lease_expires_at <= {words.now}",
            (lease_id, seconds, words.key(job.id), job.lease_id),
        )
        == 1
    )


def _take(where: str, parameters: list[object], changes: str) -> list[Dispatchable]:
    words = dialect()
    # MATERIALIZED: the planner must not run the locking, limited select more than once.
    taken = rows(
        f"WITH taken AS MATERIALIZED (SELECT id FROM jobs_job WHERE {where} {words.skip_locked})"
        f" UPDATE jobs_job SET {changes} WHERE id IN (SELECT id FROM taken) RETURNING {DISPATCHABLE}",
        parameters,
    )
    return [dispatchable(row) for row in taken]


def dispatchable(row: tuple[Any, ...]) -> Dispatchable:
    """Return a row read with the columns `DISPATCHABLE`."""
    words = dialect()
    job_id, task, queue, args, kwargs, options, priority, attempt, parent_id, correlation_id = row
    return Dispatchable(
        id=words.to_uuid(job_id),
        task=task,
        queue=queue,
        args=_json_text(args),
        kwargs=_json_text(kwargs),
        options=json.loads(options) if isinstance(options, str) else options,
        priority=priority,
        attempt=attempt,
        parent_id=None if parent_id is None else words.to_uuid(parent_id),
        correlation_id=correlation_id,
    )


def _json_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def fates(job_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[State, str]]:
    """Return the state and the latest error of jobs."""
    words = dialect()
    found = rows(
        f"SELECT id, state, last_error FROM jobs_job WHERE id IN ({marks(job_ids)})",
        [words.key(job_id) for job_id in job_ids],
    )
    return {words.to_uuid(job_id): (State(state), error) for job_id, state, error in found}
