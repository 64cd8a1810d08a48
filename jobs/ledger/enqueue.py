"""Rows come into the ledger, one or many in a statement, in the caller's transaction.

What may be there already, under its id or with its unique key, `jobs.ledger.enqueue_once` writes; for a message of
somebody else's `jobs.ledger.adopt`.
"""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from jobs.core.states import State
from jobs.core.unique_rule import UniqueRule, Until
from jobs.ledger.dialect import Dialect, dialect
from jobs.ledger.sql import cursor, one, placeholders


class NewJob(NamedTuple):
    """A job to be written, checked and with its arguments already in JSON.

    Attributes:
        args, kwargs: JSON texts.
        options: what else travels in the message, ready for JSON; None where there is nothing.
        delay: seconds from now until it is due; None where `run_at` says when, or it is due at once.
        expires_in: seconds from now; None where `expires_at` says when, or it never expires.
        deadline_in: seconds from now; None where `deadline_at` says when, or there is no deadline.
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
    deadline_in: float | None = None
    deadline_at: datetime | None = None
    correlation_id: str = ""
    parent_id: uuid.UUID | None = None
    unique_key: str | None = None
    #: Other keys under which a job may wait that this one must not join: those of secrets given up by now.
    earlier_keys: tuple[str, ...] = ()
    #: How long it holds the key, and what it changes of the job that has it.
    unique_rule: UniqueRule = UniqueRule()
    replay_of: uuid.UUID | None = None
    #: What its task's `key=` says of it, after the task's name.
    limit_key: str | None = None
    #: The dependency without which it is in vain.
    breaker: str | None = None
    #: Whose it is, as its task's `tenant=` says.
    tenant: str | None = None
    #: Whether the caller chose the id; then a second job under it is the first one.
    given_id: bool = False
    #: The group that waits for it, and its place there.
    group_id: uuid.UUID | None = None
    group_index: int | None = None

    @property
    def attempt(self) -> int:
        """How often it has run."""
        return 0

    @property
    def waits(self) -> bool:
        """Whether it is enqueued for later."""
        return self.run_at is not None or bool(self.delay)

    @property
    def state(self) -> State:
        """The state it is enqueued in."""
        return State.SCHEDULED if self.waits else State.QUEUED

    @property
    def may_be_there(self) -> bool:
        """Whether the ledger may have it, or one in its place: under the id its caller gave, or with its key."""
        return self.given_id or bool(self.unique_key)

    @property
    def times(self) -> tuple[tuple[datetime | None, float | None], ...]:
        """When it is due, expires, gives up its key and must have ended: a time, or seconds from now, or neither."""
        return (
            (self.run_at, self.delay),
            (self.expires_at, self.expires_in),
            (None, self.unique_rule.within if self.unique_key else None),
            (self.deadline_at, self.deadline_in),
        )


class Written(NamedTuple):
    """What came of a call.

    Attributes:
        id: the job's.
        is_new: whether this call wrote it; false where it was there.
    """

    id: uuid.UUID
    is_new: bool


#: What is written of a job; its four times stand last.
COLUMNS = (
    "id, task, queue, state, args, kwargs, options, priority, max_retries, correlation_id, parent_id,"
    " unique_key, unique_until, replay_of, limit_key, tenant, breaker, group_id, group_index, run_at, expires_at,"
    " unique_expires_at, deadline_at"
)
_INSERT = f"INSERT INTO jobs_job ({COLUMNS})"


def insert(job: NewJob) -> Written:
    """Write a new job in the caller's transaction. Raises IntegrityError where its id, or its unique key, is there."""
    values, parameters = row(job)
    with cursor() as opened:
        opened.execute(f"{_INSERT} VALUES ({values})", parameters)
    return Written(job.id, is_new=True)


def insert_many(jobs: Sequence[NewJob]) -> None:
    """Write many new jobs, at least one, in the caller's transaction and in one statement. Raises as `insert`."""
    written = records(jobs)
    if dialect().name == "postgresql":
        with connection.cursor() as opened, opened.copy(f"COPY jobs_job ({COLUMNS}) FROM STDIN") as copy:
            for record in written:
                copy.write_row(record)
    else:
        with connection.cursor() as opened:
            opened.executemany(f"{_INSERT} VALUES ({placeholders(written[0])})", written)


def database_time() -> datetime:
    """Return what time it is by the database's clock."""
    return _now(dialect())


def has_come(moment: datetime) -> bool:
    """Return whether a time has come, by the database's clock."""
    sql = dialect()
    found = one(f"SELECT %s <= {sql.now}", (sql.time(moment),))
    return found is not None and bool(found[0])


def row(job: NewJob) -> tuple[str, list[Any]]:
    """Return what an INSERT writes into `COLUMNS`, as SQL, and its parameters."""
    sql = dialect()
    parameters = _without_times(job, sql)
    due, *others = [_moment(at, seconds, sql, parameters) for at, seconds in job.times]
    values = ["%s"] * 4 + [sql.json] * 3 + ["%s"] * 12
    return ", ".join([*values, due or sql.now, *(other or "NULL" for other in others)]), parameters


def records(jobs: Sequence[NewJob]) -> list[tuple[Any, ...]]:
    """Return the values of `COLUMNS` for each job, with times by the database's clock."""
    sql = dialect()
    now = _now(sql)
    return [
        (
            *_without_times(job, sql),
            *(
                sql.time(at if seconds is None else now + timedelta(seconds=seconds))
                for at, seconds in ((job.run_at, None if job.run_at else job.delay or 0), *job.times[1:])
            ),
        )
        for job in jobs
    ]


def _now(sql: Dialect) -> datetime:
    found = one(f"SELECT {sql.now}")
    now = found[0] if found else None
    return now if isinstance(now, datetime) else datetime.fromisoformat(str(now)).replace(tzinfo=UTC)


def _without_times(job: NewJob, sql: Dialect) -> list[Any]:
    """Return the values of `COLUMNS`, but those of the four times that end it."""
    return [
        sql.key(job.id),
        job.task,
        job.queue,
        job.state.value,
        job.args,
        job.kwargs,
        None if job.options is None else json.dumps(job.options),
        job.priority,
        job.max_retries,
        job.correlation_id,
        sql.key(job.parent_id),
        job.unique_key,
        str(Until.DONE) if job.unique_key and job.unique_rule.until == Until.DONE else None,
        sql.key(job.replay_of),
        job.limit_key,
        job.tenant,
        job.breaker,
        sql.key(job.group_id),
        job.group_index,
    ]


def _moment(at: datetime | None, seconds: float | None, sql: Dialect, parameters: list[Any]) -> str:
    if at is not None:
        parameters.append(sql.time(at))
        return "%s"
    if seconds is not None:
        parameters.append(seconds)
        return sql.after
    return ""
