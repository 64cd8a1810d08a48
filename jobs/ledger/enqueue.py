"""Rows come into the ledger: one, many, or one adopted from a foreign message."""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from jobs.core.states import State
from jobs.errors import EnqueueError
from jobs.ledger.sql import Dialect, cursor, dialect, marks, one


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be written, checked and with its arguments already in JSON.

    Attributes:
        args, kwargs: JSON texts.
        options: what else travels in the message, ready for JSON; None where there is nothing.
        delay: seconds from now until it is due; None where `run_at` says when, or it is due at once.
        expires_in: seconds from now; None where `expires_at` says when, or it never expires.
    """

    id: uuid.UUID
    task: str
    queue: str
    args: str
    kwargs: str
    options: dict[str, Any] | None
    priority: int
    max_retries: int | None
    delay: float | None = None
    run_at: datetime | None = None
    expires_in: float | None = None
    expires_at: datetime | None = None
    correlation_id: str = ""
    parent_id: uuid.UUID | None = None
    unique_key: str | None = None
    #: Other keys under which a job may wait that this one must not join: those of secrets given up by now.
    earlier_keys: tuple[str, ...] = ()
    replay_of: uuid.UUID | None = None
    #: Whether the caller chose the id; then a second job under it is the first one.
    given_id: bool = False

    @property
    def waits(self) -> bool:
        """Whether it is enqueued for later."""
        return self.run_at is not None or bool(self.delay)

    @property
    def state(self) -> State:
        """The state it is enqueued in."""
        return State.SCHEDULED if self.waits else State.QUEUED


#: How often a job is written that finds another in its way, which is gone when it is looked for.
MOST_TRIES = 10

_COLUMNS = (
    "id, task, queue, state, args, kwargs, options, priority, max_retries, correlation_id, parent_id,"
    " unique_key, replay_of, run_at, expires_at"
)


def insert(job: NewJob) -> uuid.UUID:
    """Write one job in the caller's transaction.

    Returns:
        Its id; or that of the job already there, under the id the caller gave or waiting under the same unique key.

    Raises:
        EnqueueError: the id given is that of another task's job, or something in the database keeps the row out.
        OperationalError: under REPEATABLE READ or SERIALIZABLE, the job already there came after the transaction
            began. PostgreSQL then wants the whole transaction run again.
    """
    words = dialect()
    values, parameters = _values(job, words)
    statement = f"INSERT INTO jobs_job ({_COLUMNS}) VALUES ({values})"
    if not (job.given_id or job.unique_key):
        with cursor() as opened:
            opened.execute(statement, parameters)
        return job.id
    if job.earlier_keys:
        found = one(f"SELECT id FROM jobs_job WHERE unique_key IN ({marks(job.earlier_keys)})", job.earlier_keys)
        if found is not None:
            return words.to_uuid(found[0])
    # The job in the way may begin between the two statements and so free the key: then it is tried again.
    for _ in range(MOST_TRIES):
        if one(statement + " ON CONFLICT DO NOTHING RETURNING id", parameters) is not None:
            return job.id
        there = one(
            "SELECT id, task FROM jobs_job WHERE id = %s OR unique_key = %s", (words.key(job.id), job.unique_key)
        )
        if there is not None:
            return _same_task(job, words.to_uuid(there[0]), there[1])
    raise EnqueueError(
        f"{job.task}: job {job.id} could not be written in {MOST_TRIES} tries: the database takes no row with this id"
        f"{f' or the unique key {job.unique_key!r}' if job.unique_key else ''}, and shows none that has it."
    )


def _same_task(job: NewJob, there: uuid.UUID, task: str) -> uuid.UUID:
    """Return the id of the job already there. Raises EnqueueError where that is a job of another task."""
    if task != job.task:
        raise EnqueueError(f"{job.task}: task_id={str(there)!r} is the id of a job of {task}; a job's id is its own.")
    return there


def insert_many(jobs: Sequence[NewJob]) -> list[uuid.UUID]:
    """Write many jobs in the caller's transaction: one COPY on PostgreSQL where that can say it, else one by one.

    Returns:
        Their ids, in order; as `insert` does for those with a unique key.
    """
    plain = not any(job.delay or job.expires_in is not None or job.unique_key for job in jobs)
    if not plain or dialect().name != "postgresql":
        return [insert(job) for job in jobs]
    if jobs:
        _copy(jobs)
    return [job.id for job in jobs]


def has_come(moment: datetime) -> bool:
    """Return whether a time has come, by the database's clock."""
    words = dialect()
    row = one(f"SELECT %s <= {words.now}", (words.time(moment),))
    return row is not None and bool(row[0])


def adopt(job: NewJob, *, lease_id: str, lease_seconds: float, worker: str) -> bool:
    """Write a job for a message that came without one, as running under this lease, or for later if it waits.

    Returns:
        Whether this call wrote it; false where another delivery of the message was first.
    """
    words = dialect()
    values, parameters = _values(job, words)
    if job.waits:
        statement = f"INSERT INTO jobs_job ({_COLUMNS}) VALUES ({values})"
    else:
        parameters[3] = State.RUNNING
        statement = (
            f"INSERT INTO jobs_job ({_COLUMNS}, attempt, dispatched_at, started_at, lease_id, lease_expires_at, worker)"
            f" VALUES ({values}, 1, {words.now}, {words.now}, %s, {words.after}, %s)"
        )
        parameters += [lease_id, lease_seconds, worker]
    return one(statement + " ON CONFLICT (id) DO NOTHING RETURNING id", parameters) is not None


def _values(job: NewJob, words: Dialect) -> tuple[str, list[Any]]:
    parameters: list[Any] = [
        words.key(job.id),
        job.task,
        job.queue,
        job.state.value,
        job.args,
        job.kwargs,
        None if job.options is None else json.dumps(job.options),
        job.priority,
        job.max_retries,
        job.correlation_id,
        None if job.parent_id is None else words.key(job.parent_id),
        job.unique_key,
        None if job.replay_of is None else words.key(job.replay_of),
    ]
    run_at = _moment(job.run_at, job.delay, words, parameters) or words.now
    expires_at = _moment(job.expires_at, job.expires_in, words, parameters) or "NULL"
    json_mark = words.json
    return (
        f"%s, %s, %s, %s, {json_mark}, {json_mark}, {json_mark}, %s, %s, %s, %s, %s, %s, {run_at}, {expires_at}",
        parameters,
    )


def _moment(at: datetime | None, seconds: float | None, words: Dialect, parameters: list[Any]) -> str:
    if at is not None:
        parameters.append(words.time(at))
        return "%s"
    if seconds is not None:
        parameters.append(seconds)
        return words.after
    return ""


def _copy(jobs: Iterable[NewJob]) -> None:
    columns = _COLUMNS
    now = one(f"SELECT {dialect().now}")
    with connection.cursor() as opened, opened.copy(f"COPY jobs_job ({columns}) FROM STDIN") as copy:
        for job in jobs:
            copy.write_row(
                (
                    job.id,
                    job.task,
                    job.queue,
                    job.state.value,
                    job.args,
                    job.kwargs,
                    None if job.options is None else json.dumps(job.options),
                    job.priority,
                    job.max_retries,
                    job.correlation_id,
                    job.parent_id,
                    job.unique_key,
                    job.replay_of,
                    job.run_at or (now[0] if now else None),
                    job.expires_at,
                )
            )
