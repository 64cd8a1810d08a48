"""A worker records what became of an attempt. Every verb names the lease; without it nothing changes."""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.core.held_by import HeldBy
from jobs.core.states import FINAL, State
from jobs.ledger.sql import (
    NO_LEASE,
    UNIQUE_KEY_SUCCEEDED,
    Dialect,
    RowLocked,
    change_named,
    change_one,
    changed,
    dialect,
    free,
    in_state,
    one,
    rows,
)

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


def storable(text: str) -> str:
    """Return a text as the database can hold it."""
    # PostgreSQL's text cannot hold a NUL character, nor UTF-8 a lone surrogate.
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def success(words: Dialect) -> str:
    """Return what every success does to a job."""
    times = f"finished_at = {words.now}, changed_at = {words.now}"
    key = UNIQUE_KEY_SUCCEEDED.format(now=words.now)
    return f"UPDATE jobs_job SET state = '{State.SUCCEEDED}', {times}, {key}, {NO_LEASE}"


def succeed_many(job_ids: Collection[uuid.UUID], lease_id: str) -> set[uuid.UUID]:
    """Running → succeeded for jobs of a batch. Returns those whose lease had not been lost.

    Raises:
        RowLocked: naming those that still hold the lease, and could not be changed. The others are.
    """
    words = dialect()
    fence = f"id {words.is_one_of_ids} AND {in_state(State.RUNNING)} AND lease_id = %s"
    parameters = [words.ids(job_ids), lease_id]
    found = rows(f"{success(words)} WHERE {free(fence)} RETURNING id", parameters)
    done = {words.to_uuid(job_id) for (job_id,) in found}
    if len(done) < len(job_ids) and (passed_by := rows(f"SELECT id FROM jobs_job WHERE {fence}", parameters)):
        raise RowLocked((words.to_uuid(job_id) for (job_id,) in passed_by), done)
    return done


def note_progress(job_id: uuid.UUID, lease_id: str, progress: str, over: BaseDatabaseWrapper | None = None) -> bool:
    """Keep what a task says of its progress (JSON). Returns false where the lease was lost, or the row is locked."""
    words = dialect()
    return (
        changed(
            f"UPDATE jobs_job SET progress = {words.json}, changed_at = {words.now} WHERE {free(_FENCE)}",
            (progress, words.key(job_id), lease_id),
            over,
        )
        == 1
    )


def keep_results(results: Mapping[uuid.UUID, tuple[str, str]]) -> None:
    """Keep what running jobs' tasks returned: for each its lease and the result as JSON. One without its lease is none.

    Nothing is waited for: whoever cannot record the end of a job, since its row is locked, does this again.
    """
    sql = dialect()
    given = json.dumps(
        [{"job": job_id.hex, "lease": lease, "result": text} for job_id, (lease, text) in results.items()]
    )
    if sql.name == "postgresql":
        named = (
            "SELECT job, lease, result FROM json_to_recordset(%s::json) AS given (job uuid, lease text, result text)"
        )
        named += " WHERE lease || '' = lease"
    else:
        columns = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in ("job", "lease", "result"))
        named = f"SELECT {columns} FROM json_each(%s)"
    change = f"UPDATE jobs_job SET result = {sql.json.replace('%s', 'named.result')}"
    rows(change_named(named, f"{in_state(State.RUNNING)} AND lease_id = named.lease", change, "id", sql), [given])


def keep_late_result(job_id: uuid.UUID, result: str) -> None:
    """Keep what the task of a job returned that `succeed_late` has ended in the same transaction (JSON)."""
    words = dialect()
    changed(f"UPDATE jobs_job SET result = {words.json} WHERE id = %s", (result, words.key(job_id)))


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
    return _ended(job_id, lease_id, change, [None if replaced_by is None else sql.key(replaced_by)])


def forget_result(job_id: uuid.UUID) -> None:
    """Delete what a job's task returned."""
    words = dialect()
    changed("UPDATE jobs_job SET result = NULL WHERE id = %s AND result IS NOT NULL", (words.key(job_id),))


def exists(job_id: uuid.UUID) -> bool:
    """Return whether the ledger has the job."""
    return one("SELECT 1 FROM jobs_job WHERE id = %s", (dialect().key(job_id),)) is not None


def succeed(job_id: uuid.UUID, lease_id: str) -> bool:
    """Running → succeeded. Returns false where the lease was lost: the result is refused.

    This and all that end an attempt raise RowLocked where somebody else's transaction holds the row.
    """
    return _ended(job_id, lease_id, success(dialect()), ())


def succeed_late(job_id: uuid.UUID, attempt: int, worker: str) -> bool:
    """queued, retrying → succeeded: an attempt lost its lease, went on and ended well, and no other has begun since.

    The attempt is named by its number, and by who ran it. Returns false where the job has begun again, or ended, or its
    time limit had passed: the result is refused.
    """
    words = dialect()
    fence = f"id = %s AND {in_state(State.QUEUED, State.RETRYING)} AND attempt = %s AND worker = %s"
    fence += (
        f" AND NOT EXISTS (SELECT 1 FROM jobs_attempt WHERE job_id = jobs_job.id AND number = jobs_job.attempt"
        f" AND error_type IN ('{OVERTIME}', '{TOO_LATE}'))"
    )
    return changed(f"{success(words)} WHERE {free(fence)}", (words.key(job_id), attempt, worker)) == 1


def retry(job_id: uuid.UUID, lease_id: str, delay: float, failure: Failure, *, lost_worker: bool = False) -> bool:
    """Running → retrying, due after `delay` seconds; cancelled where an operator has asked for that.

    Returns false where the lease was lost.
    """
    return _fail(
        job_id,
        lease_id,
        State.RETRYING,
        failure,
        f", run_at = {dialect().after}, dispatched_at = NULL",
        [delay],
        lost_worker=lost_worker,
    )


def die(job_id: uuid.UUID, lease_id: str, failure: Failure, *, lost_worker: bool = False) -> bool:
    """Running → dead. Returns false where the lease was lost."""
    return _fail(job_id, lease_id, State.DEAD, failure, lost_worker=lost_worker)


def condemn(job_id: uuid.UUID, failure: Failure) -> bool:
    """Queued → dead, for a job whose message cannot be run. Returns false where it does not wait any more."""
    words = dialect()
    waits = f"id = %s AND {in_state(State.QUEUED)}"
    condemned = (
        f"UPDATE jobs_job SET state = '{State.DEAD}', finished_at = {words.now}, changed_at = {words.now},"
        " unique_key = NULL, last_error = %s"
    )
    return change_one(job_id, waits, [words.key(job_id)], condemned, [failure.summary]) is not None


def cancel_running(job_id: uuid.UUID, lease_id: str, failure: Failure) -> bool:
    """Running → cancelled. Returns false where the lease was lost."""
    return _fail(job_id, lease_id, State.CANCELLED, failure)


def snooze(job_id: uuid.UUID, lease_id: str, delay: float, reason: str) -> bool:
    """Running → scheduled, due after `delay` seconds, the attempt given back; or cancelled, as in `retry`.

    No row tells of it later, so it is counted with the change. Returns false where the lease was lost.
    """
    words = dialect()
    change = (
        f"UPDATE jobs_job SET {_unless_cancelled(State.SCHEDULED, words)}, run_at = {words.after},"
        f" attempt = attempt - 1, dispatched_at = NULL, last_error = %s, changed_at = {words.now}, {NO_LEASE}"
    )
    with transaction.atomic():
        ended = _ended(job_id, lease_id, change, (delay, storable(reason)[:LAST_ERROR_LENGTH]))
        if ended:
            changed(_COUNT_SNOOZE, [words.key(job_id)])
    return ended


_COUNT_SNOOZE = f"""
    INSERT INTO jobs_tally (metric, task, queue, outcome, count, seconds)
    SELECT 'snoozes', task, queue, '', 1, 0 FROM jobs_job WHERE id = %s AND {in_state(State.SCHEDULED)}
    ON CONFLICT (metric, task, queue, outcome) DO UPDATE SET count = jobs_tally.count + 1
"""


def release(job_id: uuid.UUID, lease_id: str, failure: Failure) -> bool:
    """Running → queued, due at once, since its worker was told to stop before it ended; or cancelled, as in `retry`.

    Returns false where the lease was lost.
    """
    return _fail(job_id, lease_id, State.QUEUED, failure, f", run_at = {dialect().now}, dispatched_at = NULL")


def hold(job_id: uuid.UUID, lease_id: str, by: HeldBy, failure: Failure) -> bool:
    """Running → queued and held back, the attempt given back; or cancelled, as in `retry`.

    Returns false where the lease was lost.
    """
    words = dialect()
    change = (
        f"UPDATE jobs_job SET {_unless_cancelled(State.QUEUED, words)}, attempt = attempt - 1, dispatched_at = NULL,"
        f" last_error = %s, changed_at = {words.now}, lease_id = NULL, lease_expires_at = NULL,"
        f" cancel_requested_at = NULL, held_by = %s, held_since = COALESCE(held_since, {words.now})"
    )
    return _ended(job_id, lease_id, change, (failure.summary, by))


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


def _fail(
    job_id: uuid.UUID,
    lease_id: str,
    state: State,
    failure: Failure,
    changes: str = "",
    parameters: Sequence[object] = (),
    *,
    lost_worker: bool = False,
) -> bool:
    """End the attempt and keep its error, both or neither."""
    words = dialect()
    change = (
        f"UPDATE jobs_job SET {_unless_cancelled(state, words)}, last_error = %s,"
        f" changed_at = {words.now}, {NO_LEASE}{changes}{_LOSS if lost_worker else ''}"
    )
    with transaction.atomic():
        ended = _ended(job_id, lease_id, change, (failure.summary, *parameters))
        if ended:
            changed(
                "INSERT INTO jobs_attempt (job_id, number, outcome, error_type, error, traceback, worker, started_at)"
                " SELECT id, attempt, state, %s, %s, %s, worker, started_at FROM jobs_job WHERE id = %s",
                (
                    failure.type[:200],
                    storable(failure.message)[:ERROR_LENGTH],
                    storable(failure.traceback)[-TRACEBACK_LENGTH:],
                    words.key(job_id),
                ),
            )
    return ended


_LOSS = ", worker_losses = worker_losses + 1"

#: A running job under a lease: a row found by its id.
_FENCE = f"id = %s AND {in_state(State.RUNNING)} AND lease_id = %s"


def _unless_cancelled(state: State, words: Dialect) -> str:
    """Return the change of an attempt's end: to `state`, or to cancelled where an operator wants no further attempt.

    One that gives up has its dead letter by then, and is dead.
    """
    if state in FINAL:
        return f"state = '{state}', finished_at = {words.now}, unique_key = NULL"
    return (
        f"state = CASE WHEN cancel_requested_at IS NULL THEN '{state}' ELSE '{State.CANCELLED}' END,"
        f" finished_at = CASE WHEN cancel_requested_at IS NULL THEN NULL ELSE {words.now} END,"
        " unique_key = CASE WHEN cancel_requested_at IS NULL THEN unique_key END"
    )


def _ended(job_id: uuid.UUID, lease_id: str, change: str, parameters: Sequence[object]) -> bool:
    """Change a running job. Returns false where the lease was lost. Raises RowLocked."""
    return change_one(job_id, _FENCE, (dialect().key(job_id), lease_id), change, parameters) is not None


def is_cancelled(job_id: uuid.UUID) -> bool:
    """Return whether the job has ended as cancelled."""
    return (
        one("SELECT 1 FROM jobs_job WHERE id = %s AND state = %s", (dialect().key(job_id), State.CANCELLED)) is not None
    )
