"""What a person or program asks for: run again, cancel. Each verb changes only jobs in a state that allows it."""

import uuid
from collections.abc import Sequence

from jobs.core.states import FINAL, WAITING, State
from jobs.ledger.sql import changed, dialect, in_state, marks, one, rows
from jobs.ledger.upkeep import DISPATCHABLE, Dispatchable, dispatchable

_AGAIN = in_state(*FINAL, *WAITING)
_NOT_BEGUN = in_state(*WAITING, State.QUEUED)


def requeue(job_ids: Sequence[uuid.UUID]) -> list[Dispatchable]:
    """dead, cancelled, succeeded, scheduled, retrying → queued, due at once; their history is kept.

    Attempts count on, and the retries begin anew. Returns the jobs changed, to be dispatched by the caller.
    """
    if not job_ids:
        return []
    words = dialect()
    taken = rows(
        f"UPDATE jobs_job SET state = '{State.QUEUED}', attempt_base = attempt, worker_losses = 0,"
        f" run_at = {words.now}, expires_at = NULL, dispatched_at = NULL, finished_at = NULL, progress = NULL,"
        f" changed_at = {words.now} WHERE {_AGAIN} AND id IN ({marks(job_ids)}) RETURNING {DISPATCHABLE}",
        [words.key(job_id) for job_id in job_ids],
    )
    return [dispatchable(row) for row in taken]


def cancel(job_ids: Sequence[uuid.UUID], reason: str) -> int:
    """scheduled, queued, retrying → cancelled. Returns how many."""
    if not job_ids:
        return 0
    words = dialect()
    return changed(
        f"UPDATE jobs_job SET state = '{State.CANCELLED}', finished_at = {words.now}, changed_at = {words.now},"
        f" unique_key = NULL, last_error = %s WHERE {_NOT_BEGUN} AND id IN ({marks(job_ids)})",
        [reason, *(words.key(job_id) for job_id in job_ids)],
    )


def ask_to_cancel(job_ids: Sequence[uuid.UUID]) -> int:
    """Ask the workers of running jobs to end them; they become cancelled when their workers have. Returns how many."""
    if not job_ids:
        return 0
    words = dialect()
    return changed(
        f"UPDATE jobs_job SET cancel_requested_at = COALESCE(cancel_requested_at, {words.now})"
        f" WHERE {in_state(State.RUNNING)} AND id IN ({marks(job_ids)})",
        [words.key(job_id) for job_id in job_ids],
    )


def to_cancel(lease_ids: Sequence[str]) -> set[str]:
    """Return which of these leases are of jobs that an operator wants ended."""
    if not lease_ids:
        return set()
    found = rows(
        f"SELECT lease_id FROM jobs_job WHERE state = '{State.RUNNING}' AND cancel_requested_at IS NOT NULL"
        f" AND lease_id IN ({marks(lease_ids)})",
        lease_ids,
    )
    return {lease_id for (lease_id,) in found}


def is_asked(job_id: uuid.UUID) -> bool:
    """Return whether an operator wants this job ended."""
    asked = "SELECT 1 FROM jobs_job WHERE id = %s AND cancel_requested_at IS NOT NULL"
    return one(asked, (dialect().key(job_id),)) is not None
