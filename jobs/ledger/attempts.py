"""A worker records what became of an attempt. Every verb names the lease; without it nothing changes."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.core.outcome import Outcome
from jobs.core.states import State
from jobs.ledger.dialect import Dialect, dialect
from jobs.ledger.sql import NO_LEASE, UNIQUE_KEY_SUCCEEDED, change_one, changed, free, in_state, one

#: Longest error text and traceback kept, in characters. The beginning says what, the end of a traceback says where.
ERROR_LENGTH = 2_000
TRACEBACK_LENGTH = 20_000
LAST_ERROR_LENGTH = 500

#: The type of error of an attempt that was ended by its hard time limit.
OVERTIME = "TimeLimitExceeded"

#: The same of one whose deadline passed.
TOO_LATE = "DeadlinePassed"


@dataclass(frozen=True, slots=True)
class Failure:
    """What is kept of an attempt that did not succeed."""

    type: str
    message: str
    traceback: str = ""

    @property
    def summary(self) -> str:
        """The error on one line, shortened."""
        return storable(f"{self.type}: {self.message}" if self.message else self.type)[:LAST_ERROR_LENGTH]


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one attempt.

    Attributes:
        attempt: its number.
        outcome: what is to become of the job.
        failure: why it did not succeed; None where it did.
        lost_worker: whether it counts as the job having killed its worker.
        result: what the task returned, as JSON, where the job succeeded and somebody wants it.
    """

    id: uuid.UUID
    lease_id: str
    attempt: int
    outcome: Outcome
    failure: Failure | None = None
    lost_worker: bool = False
    result: str | None = None


def storable(text: str) -> str:
    """Return a text as the database can hold it."""
    # PostgreSQL's text cannot hold a NUL character, nor UTF-8 a lone surrogate.
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def success(sql: Dialect) -> str:
    """Return what every success does to a job."""
    times = f"finished_at = {sql.now}, changed_at = {sql.now}"
    key = UNIQUE_KEY_SUCCEEDED.format(now=sql.now)
    return f"UPDATE jobs_job SET state = '{State.SUCCEEDED}', {times}, {key}, {NO_LEASE}"


def note_progress(job_id: uuid.UUID, lease_id: str, progress: str, over: BaseDatabaseWrapper | None = None) -> bool:
    """Keep what a task says of its progress (JSON). Returns false where the lease was lost, or the row is locked."""
    sql = dialect()
    return (
        changed(
            f"UPDATE jobs_job SET progress = {sql.json}, changed_at = {sql.now} WHERE {free(_FENCE)}",
            (progress, sql.key(job_id), lease_id),
            over,
        )
        == 1
    )


def keep_late_result(job_id: uuid.UUID, result: str) -> None:
    """Keep what the task of a job returned that `succeed_late` has ended in the same transaction (JSON)."""
    sql = dialect()
    changed(f"UPDATE jobs_job SET result = {sql.json} WHERE id = %s", (result, sql.key(job_id)))


def lock(job_id: uuid.UUID, lease_id: str) -> bool:
    """Lock a running job's row until the transaction ends. Returns false where the lease was lost. Raises RowLocked."""
    return _ended(job_id, lease_id, "UPDATE jobs_job SET lease_id = lease_id", ())


def hand_on(job_id: uuid.UUID, lease_id: str, replaced_by: uuid.UUID | None) -> bool:
    """Note that a running job's task was replaced: its result, place and followers are another job's from now on.

    Returns false where the lease was lost. Raises RowLocked.
    """
    sql = dialect()
    names = ("link", "link_error", "chain", "chord", "group_id", "group_index")
    if sql.name == "postgresql":
        options = f"options - ARRAY[{', '.join(repr(name) for name in names)}]"
    else:
        options = f"json_remove(options, {', '.join(repr('$.' + name) for name in names)})"
    change = f"UPDATE jobs_job SET replaced_by = %s, group_id = NULL, group_index = NULL, options = {options}"
    return _ended(job_id, lease_id, change, [sql.key(replaced_by)])


def forget_result(job_id: uuid.UUID) -> None:
    """Delete what a job's task returned."""
    sql = dialect()
    changed("UPDATE jobs_job SET result = NULL WHERE id = %s AND result IS NOT NULL", (sql.key(job_id),))


def exists(job_id: uuid.UUID) -> bool:
    """Return whether the ledger has the job."""
    return one("SELECT 1 FROM jobs_job WHERE id = %s", (dialect().key(job_id),)) is not None


def succeed_late(job_id: uuid.UUID, attempt: int, worker: str) -> bool:
    """queued, retrying → succeeded: an attempt lost its lease, went on and ended well, and no other has begun since.

    The attempt is named by its number, and by who ran it. Returns false where the job has begun again, or ended, or its
    time limit had passed: the result is refused.
    """
    sql = dialect()
    fence = f"id = %s AND {in_state(State.QUEUED, State.RETRYING)} AND attempt = %s AND worker = %s"
    fence += (
        f" AND NOT EXISTS (SELECT 1 FROM jobs_attempt WHERE job_id = jobs_job.id AND number = jobs_job.attempt"
        f" AND error_type IN ('{OVERTIME}', '{TOO_LATE}'))"
    )
    return changed(f"{success(sql)} WHERE {free(fence)}", (sql.key(job_id), attempt, worker)) == 1


def give_up_queued(job_id: uuid.UUID, failure: Failure) -> bool:
    """Queued → dead, for a job whose message cannot be run. Returns false where it does not wait any more."""
    sql = dialect()
    waits = f"id = %s AND {in_state(State.QUEUED)}"
    given_up = (
        f"UPDATE jobs_job SET state = '{State.DEAD}', finished_at = {sql.now}, changed_at = {sql.now},"
        " unique_key = NULL, last_error = %s"
    )
    return change_one(job_id, waits, [sql.key(job_id)], given_up, [failure.summary])


def refuse(job_id: uuid.UUID, attempt: int, worker: str, failure: Failure) -> None:
    """Record a result that came after its lease was lost."""
    changed(
        "INSERT INTO jobs_attempt (job_id, number, outcome, error_type, error, traceback, worker)"
        " SELECT id, %s, 'refused', %s, %s, %s, %s FROM jobs_job WHERE id = %s",
        (
            attempt,
            failure.type[:200],
            storable(failure.message)[:ERROR_LENGTH],
            storable(failure.traceback)[-TRACEBACK_LENGTH:],
            worker,
            dialect().key(job_id),
        ),
    )


#: A running job under a lease: a row found by its id.
_FENCE = f"id = %s AND {in_state(State.RUNNING)} AND lease_id = %s"


def _ended(job_id: uuid.UUID, lease_id: str, change: str, parameters: Sequence[object]) -> bool:
    """Change a running job. Returns false where the lease was lost. Raises RowLocked."""
    return change_one(job_id, _FENCE, (dialect().key(job_id), lease_id), change, parameters)
