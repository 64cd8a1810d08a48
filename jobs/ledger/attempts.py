"""A worker records what became of an attempt. Every verb names the lease; without it nothing changes."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from jobs.core.states import State
from jobs.ledger.sql import NO_LEASE, Dialect, changed, dialect, in_state, marks, one, rows

#: Longest error text and traceback kept, in characters. The beginning says what, the end of a traceback says where.
ERROR_LENGTH = 2_000
TRACEBACK_LENGTH = 20_000
LAST_ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Failure:
    """What is kept of an attempt that did not succeed."""

    type: str
    message: str
    traceback: str = ""

    @property
    def summary(self) -> str:
        """The error on one line, shortened."""
        return _storable(f"{self.type}: {self.message}" if self.message else self.type)[:LAST_ERROR_LENGTH]


def _storable(text: str) -> str:
    # PostgreSQL's text cannot hold a NUL character, nor UTF-8 a lone surrogate.
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def success(words: Dialect) -> str:
    """Return what every success does to a job."""
    times = f"finished_at = {words.now}, changed_at = {words.now}"
    return f"UPDATE jobs_job SET state = '{State.SUCCEEDED}', {times}, {NO_LEASE}"


def succeed_many(job_ids: Sequence[uuid.UUID], lease_id: str) -> set[uuid.UUID]:
    """Running → succeeded for jobs of a batch. Returns those whose lease had not been lost."""
    words = dialect()
    found = rows(
        f"{success(words)} WHERE id IN ({marks(job_ids)}) AND {in_state(State.RUNNING)} AND lease_id = %s RETURNING id",
        (*(words.key(job_id) for job_id in job_ids), lease_id),
    )
    return {words.to_uuid(job_id) for (job_id,) in found}


def note_progress(job_id: uuid.UUID, lease_id: str, progress: str) -> bool:
    """Keep what a task says of its progress (JSON). Returns false where the lease was lost."""
    words = dialect()
    return (
        changed(
            f"UPDATE jobs_job SET progress = {words.json}, changed_at = {words.now}"
            f" WHERE id = %s AND {in_state(State.RUNNING)} AND lease_id = %s",
            (progress, words.key(job_id), lease_id),
        )
        == 1
    )


def exists(job_id: uuid.UUID) -> bool:
    """Return whether the ledger has the job."""
    return one("SELECT 1 FROM jobs_job WHERE id = %s", (dialect().key(job_id),)) is not None


def succeed(job_id: uuid.UUID, lease_id: str) -> bool:
    """Running → succeeded. Returns false where the lease was lost: the result is refused."""
    words = dialect()
    return (
        changed(
            f"{success(words)} WHERE id = %s AND {in_state(State.RUNNING)} AND lease_id = %s",
            (words.key(job_id), lease_id),
        )
        == 1
    )


def retry(job_id: uuid.UUID, lease_id: str, delay: float, failure: Failure, *, lost_worker: bool = False) -> bool:
    """Running → retrying, due after `delay` seconds. Returns false where the lease was lost."""
    words = dialect()
    return _end_with_failure(
        job_id,
        lease_id,
        State.RETRYING,
        failure,
        f", run_at = {words.after}, dispatched_at = NULL{_LOSS if lost_worker else ''}",
        [delay],
    )


def die(job_id: uuid.UUID, lease_id: str, failure: Failure, *, lost_worker: bool = False) -> bool:
    """Running → dead. Returns false where the lease was lost."""
    words = dialect()
    return _end_with_failure(
        job_id,
        lease_id,
        State.DEAD,
        failure,
        f", finished_at = {words.now}{_LOSS if lost_worker else ''}",
        [],
    )


def condemn(job_id: uuid.UUID, failure: Failure) -> bool:
    """Queued → dead, for a job whose message cannot be run. Returns false where it does not wait any more."""
    words = dialect()
    return (
        changed(
            f"UPDATE jobs_job SET state = '{State.DEAD}', finished_at = {words.now}, changed_at = {words.now},"
            f" unique_key = NULL, last_error = %s WHERE id = %s AND {in_state(State.QUEUED)}",
            (failure.summary, words.key(job_id)),
        )
        == 1
    )


def cancel_running(job_id: uuid.UUID, lease_id: str, failure: Failure) -> bool:
    """Running → cancelled. Returns false where the lease was lost."""
    return _end_with_failure(job_id, lease_id, State.CANCELLED, failure, f", finished_at = {dialect().now}", [])


def snooze(job_id: uuid.UUID, lease_id: str, delay: float, reason: str) -> bool:
    """Running → scheduled, due after `delay` seconds; the attempt is given back. False where the lease was lost.

    No row tells of it later, so it is counted with the change.
    """
    words = dialect()
    change = (
        f"UPDATE jobs_job SET state = '{State.SCHEDULED}', run_at = {words.after}, attempt = attempt - 1,"
        f" dispatched_at = NULL, last_error = %s, changed_at = {words.now}, {NO_LEASE}"
        f" WHERE id = %s AND {in_state(State.RUNNING)} AND lease_id = %s"
    )
    parameters = (delay, _storable(reason)[:LAST_ERROR_LENGTH], words.key(job_id), lease_id)
    if words.name == "postgresql":
        snoozed = f"WITH snoozed AS ({change} RETURNING task, queue)"
        return changed(f"{snoozed} {_COUNT_SNOOZE.format(rows='snoozed')}", parameters) == 1
    with transaction.atomic():
        if not changed(change, parameters):
            return False
        changed(_COUNT_SNOOZE.format(rows="jobs_job WHERE id = %s"), [words.key(job_id)])
    return True


_COUNT_SNOOZE = """
    INSERT INTO jobs_tally (metric, task, queue, outcome, count, seconds)
    SELECT 'snoozes', task, queue, '', 1, 0 FROM {rows}
    ON CONFLICT (metric, task, queue, outcome) DO UPDATE SET count = jobs_tally.count + 1
"""


def release(job_id: uuid.UUID, lease_id: str, failure: Failure) -> bool:
    """Running → queued, due at once: its worker was told to stop before it ended. False where the lease was lost."""
    words = dialect()
    return _end_with_failure(
        job_id, lease_id, State.QUEUED, failure, f", run_at = {words.now}, dispatched_at = NULL", []
    )


_LOSS = ", worker_losses = worker_losses + 1"


def refuse(job_id: uuid.UUID, attempt: int, worker: str, failure: Failure) -> None:
    """Record a result that came after its lease was lost."""
    changed(
        "INSERT INTO jobs_attempt (job_id, number, outcome, error_type, error, traceback, worker)"
        " SELECT id, %s, 'refused', %s, %s, %s, %s FROM jobs_job WHERE id = %s",
        (
            attempt,
            failure.type[:200],
            _storable(failure.message)[:ERROR_LENGTH],
            _storable(failure.traceback)[-TRACEBACK_LENGTH:],
            worker,
            dialect().key(job_id),
        ),
    )


def _end_with_failure(
    job_id: uuid.UUID, lease_id: str, state: State, failure: Failure, changes: str, parameters: list[object]
) -> bool:
    """End the attempt and keep its error, both or neither."""
    words = dialect()
    fence = f"id = %s AND {in_state(State.RUNNING)} AND lease_id = %s"
    with transaction.atomic():
        kept = changed(
            "INSERT INTO jobs_attempt (job_id, number, outcome, error_type, error, traceback, worker, started_at)"
            f" SELECT id, attempt, '{state}', %s, %s, %s, worker, started_at FROM jobs_job WHERE {fence}",
            (
                failure.type[:200],
                _storable(failure.message)[:ERROR_LENGTH],
                _storable(failure.traceback)[-TRACEBACK_LENGTH:],
                words.key(job_id),
                lease_id,
            ),
        )
        if not kept:
            return False
        ended = changed(
            f"UPDATE jobs_job SET state = '{state}', last_error = %s, changed_at = {words.now},"
            f" {NO_LEASE}{changes} WHERE {fence}",
            (failure.summary, *parameters, words.key(job_id), lease_id),
        )
        if not ended:
            # Rescued between the two statements: take the attempt's row back.
            transaction.set_rollback(True)
        return bool(ended)
