"""What a person or program asks for: run again, cancel. Each verb changes only jobs in a state that allows it."""

import time
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from jobs.core.states import FINAL, WAITING, State
from jobs.ledger import steps
from jobs.ledger.dialect import dialect
from jobs.ledger.maintain import DISPATCHABLE, Dispatchable, dispatchable
from jobs.ledger.sql import free, in_state, rows

#: What is kept of a job that Celery's remote control has cancelled.
REVOKED = "Revoked by Celery's remote control."

NOT_BEGUN = frozenset({*WAITING, State.QUEUED})

_AGAIN = in_state(*FINAL, *WAITING)
_NOT_BEGUN = in_state(*NOT_BEGUN)

#: How long a person waits for rows that are being changed at this moment, in seconds from one look to the next. What
#: is locked for longer is passed by, and not counted.
_LOOKS = (0.02, 0.05, 0.1, 0.2, 0.4)


@transaction.atomic
def requeue(job_ids: Sequence[uuid.UUID], from_step: int | None = None) -> list[Dispatchable]:
    """dead, cancelled, succeeded, scheduled, retrying → queued, due at once; their history is kept.

    `jobs.compose.groups.requeue` has groups wait for them anew.

    Attempts count on, and the retries begin anew. What was done in steps is kept, and not done again; but one that had
    succeeded does all of its work again.

    Args:
        job_ids: the jobs.
        from_step: the number of the step from which on they do their work again instead.

    Returns:
        The jobs changed, to be dispatched by the caller.
    """
    sql = dialect()
    if from_step is None:
        steps.forget_of_succeeded(job_ids)
    changed = [
        dispatchable(row)
        for row in _change(
            job_ids,
            _AGAIN,
            f"state = '{State.QUEUED}', attempt_base = attempt, worker_losses = 0,"
            f" run_at = {sql.now}, expires_at = NULL, deadline_at = NULL, dispatched_at = NULL, started_at = NULL,"
            f" finished_at = NULL, progress = NULL, result = NULL, replaced_by = NULL, held_by = NULL,"
            f" held_since = NULL, held_rule = NULL, changed_at = {sql.now}",
            returning=DISPATCHABLE,
        )
    ]
    if from_step is not None:
        steps.forget_from([job.id for job in changed], from_step)
    return changed


def cancel(job_ids: Sequence[uuid.UUID], reason: str) -> list[tuple[uuid.UUID, str, str]]:
    """scheduled, queued, retrying → cancelled. `jobs.compose.groups.cancel` does what follows.

    Returns:
        Id, task and queue of each that was cancelled.
    """
    sql = dialect()
    now = sql.now
    ended = f"state = '{State.CANCELLED}', finished_at = {now}, changed_at = {now}, unique_key = NULL, last_error = %s"
    done = _change(job_ids, _NOT_BEGUN, ended, [reason], returning="id, task, queue")
    return [(sql.to_uuid(job_id), task, queue) for job_id, task, queue in done]


def ask_to_cancel(job_ids: Sequence[uuid.UUID]) -> int:
    """Ask the workers of running jobs to end them; they become cancelled when their workers have. Returns how many."""
    asked = f"cancel_requested_at = COALESCE(cancel_requested_at, {dialect().now})"
    return len(_change(job_ids, in_state(State.RUNNING), asked))


def _change(
    job_ids: Sequence[uuid.UUID],
    condition: str,
    changes: str,
    parameters: Sequence[object] = (),
    *,
    returning: str = "id",
) -> list[tuple[Any, ...]]:
    """Change the jobs for which the condition holds. Returns what is asked for of each."""
    sql = dialect()
    left = list(job_ids)
    done: list[tuple[Any, ...]] = []
    for pause in (*_LOOKS, 0.0):
        if not left:
            break
        meant = f"id {sql.is_one_of_ids} AND {condition}"
        done += rows(
            f"UPDATE jobs_job SET {changes} WHERE {free(meant)} RETURNING id, {returning}",
            [*parameters, sql.ids(left)],
        )
        missing = set(left) - {sql.to_uuid(row[0]) for row in done}
        if not missing:
            break
        still = rows(f"SELECT id FROM jobs_job WHERE {meant}", [sql.ids(missing)])
        left = [sql.to_uuid(job_id) for (job_id,) in still]
        if left:
            time.sleep(pause)
    return [row[1:] for row in done]


def to_cancel(lease_ids: Sequence[str]) -> set[str]:
    """Return which of these leases are of jobs that an operator wants ended."""
    if not lease_ids:
        return set()
    found = rows(
        f"SELECT lease_id FROM jobs_job WHERE state = '{State.RUNNING}' AND cancel_requested_at IS NOT NULL"
        f" AND lease_id {dialect().is_one_of}",
        [dialect().array(lease_ids)],
    )
    return {lease_id for (lease_id,) in found}
