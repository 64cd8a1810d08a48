"""Rows come into the ledger: one, many, or one adopted from a foreign message."""

import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection

from jobs.core.states import State
from jobs.core.unique_rule import UniqueRule, Until
from jobs.core.versions import version_of
from jobs.errors import EnqueueError
from jobs.ledger import unique
from jobs.ledger.dialect import Dialect, dialect
from jobs.ledger.sql import RowLocked, cursor, one, placeholders, rows


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
    def keys(self) -> list[str]:
        """All keys under which a job may be there that this one must join."""
        return [self.unique_key, *self.earlier_keys] if self.unique_key else []


class Written(NamedTuple):
    """What came of a call.

    Attributes:
        id: the job's.
        is_new: whether this call wrote it; false where it was there.
    """

    id: uuid.UUID
    is_new: bool


#: How often a job is written that finds another in its way, which is gone when it is looked for.
MOST_TRIES = 10

_COLUMNS = (
    "id, task, queue, state, args, kwargs, options, priority, max_retries, correlation_id, parent_id,"
    " unique_key, unique_until, replay_of, limit_key, tenant, breaker, group_id, group_index, run_at, expires_at,"
    " unique_expires_at, deadline_at"
)
_INSERT = f"INSERT INTO jobs_job ({_COLUMNS})"


def insert(job: NewJob) -> uuid.UUID:
    """Write one job as `write` does. Returns its id, or that of the job already there."""
    return write(job).id


def write(job: NewJob) -> Written:
    """Write one job in the caller's transaction.

    Returns:
        It, or the job already there: under the id the caller gave, or holding the same unique key.

    Raises:
        EnqueueError: the id given is that of another task's job, or something in the database keeps the row out.
        OperationalError: under REPEATABLE READ or SERIALIZABLE, the job already there came after the transaction
            began. PostgreSQL then wants the whole transaction run again.
    """
    sql = dialect()
    values, parameters = _values(job, sql)
    if not (job.given_id or job.unique_key):
        with cursor() as opened:
            opened.execute(f"{_INSERT} VALUES ({values})", parameters)
        return Written(job.id, is_new=True)
    # The job in the way may begin between the two statements and so free the key: then it is tried again.
    for _ in range(MOST_TRIES):
        try:
            if there := _relied_on(job):
                return Written(there, is_new=False)
            if _is_written(job, values, parameters):
                return Written(job.id, is_new=True)
        except (unique.Taken, RowLocked):
            return write(job._replace(unique_key=None))
        if there := _one_with_id(job) or _relied_on_begun(job.keys):
            return Written(there, is_new=False)
    if job.unique_key:
        # Somebody's transaction has locked the job that waits, and may do so for hours: it cannot be relied on.
        return write(job._replace(unique_key=None, given_id=True))
    raise EnqueueError(
        f"{job.task}: job {job.id} could not be written in {MOST_TRIES} tries: the database takes no row with this id,"
        " and shows none that has it."
    )


def _relied_on(job: NewJob) -> uuid.UUID | None:
    """Return the job that waits with the same key, and is changed as the call's rule says. Raises RowLocked."""
    if not job.unique_key:
        return None
    if job.unique_rule.replace:
        there = unique.replace(job.keys, _replacement(job))
    else:
        there = next(iter(unique.waiting(job.keys).values()), None)
    if there is None:
        # The index knows the first key alone.
        return _relied_on_begun(job.earlier_keys)
    unique.count_call([there])
    return there


def _relied_on_begun(keys: Sequence[str]) -> uuid.UUID | None:
    there = next(iter(unique.begun(keys).values()), None) if keys else None
    if there is not None:
        unique.count_call([there])
    return there


def _replacement(job: NewJob) -> unique.Replacement:
    rule = job.unique_rule
    return unique.Replacement(
        arguments=(job.args, job.kwargs) if "kwargs" in rule.replace else None,
        flow=(job.limit_key, job.tenant, job.breaker),
        moves="run_at" in rule.replace,
        run_at=job.run_at,
        delay=job.delay or 0.0,
        max_delay=rule.max_delay,
        version=version_of(job.options),
    )


def _is_written(job: NewJob, values: str, parameters: list[Any]) -> bool:
    if job.unique_key:
        return bool(unique.written(_COLUMNS, values, "", parameters))
    return one(f"{_INSERT} VALUES ({values}) ON CONFLICT DO NOTHING RETURNING id", parameters) is not None


def _one_with_id(job: NewJob) -> uuid.UUID | None:
    """Return the id of the job already there. Raises EnqueueError where that is a job of another task."""
    found = job.given_id and one("SELECT task FROM jobs_job WHERE id = %s", [dialect().key(job.id)])
    if not found:
        return None
    if found[0] != job.task:
        raise EnqueueError(
            f"{job.task}: task_id={str(job.id)!r} is the id of a job of {found[0]}; a job's id is its own."
        )
    return job.id


def insert_many(jobs: Sequence[NewJob]) -> list[uuid.UUID]:
    """Write many jobs in the caller's transaction, a few statements for all. No job has the id of one that is there.

    Returns:
        Their ids, in order; as `insert` does for those with a unique key. A job is new if the id is its own, and no
        other before it has the same.
    """
    if any(job.unique_rule.replace for job in jobs):
        # Each changes what the one before it has written.
        return [insert(job) for job in jobs]
    plain = [job for job in jobs if not job.unique_key]
    if plain:
        _write(plain)
    keyed = {job.unique_key: job for job in reversed(jobs) if job.unique_key}
    ids = _insert_keyed(keyed)
    # The others of this call with one key rely on the first one.
    unique.count_call(_further([ids[job.unique_key] for job in jobs if job.unique_key]))
    return [ids[job.unique_key] if job.unique_key else job.id for job in jobs]


def _further(ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Return each id as often as it stands there after its first time."""
    return list((Counter(ids) - Counter(set(ids))).elements())


def _insert_keyed(jobs: Mapping[str, NewJob]) -> dict[str, uuid.UUID]:
    wanted = [key for job in jobs.values() for key in job.keys]
    earlier = [key for job in jobs.values() for key in job.earlier_keys]
    found = unique.waiting(wanted) if wanted else {}
    found |= unique.begun(earlier) if earlier else {}
    ids = {key: found[there] for key, job in jobs.items() for there in job.keys if there in found}
    unique.count_call(list(ids.values()))
    # All take the keys in one order, so that two of them wait for each other at most once.
    fresh = [jobs[key] for key in sorted(jobs.keys() - ids.keys())]
    if fresh:
        try:
            written = _write_keyed(fresh)
        except unique.Taken:
            written = set()
        ids |= {str(job.unique_key): job.id for job in fresh if job.id in written}
    for key, job in jobs.items():
        if key not in ids:
            ids[key] = insert(job)
    return ids


def there(job_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of the ids that are ids of jobs."""
    sql = dialect()
    found = rows(f"SELECT id FROM jobs_job WHERE id {sql.is_one_of_ids}", [sql.ids(job_ids)]) if job_ids else []
    return {sql.to_uuid(job_id) for (job_id,) in found}


def has_come(moment: datetime) -> bool:
    """Return whether a time has come, by the database's clock."""
    sql = dialect()
    row = one(f"SELECT %s <= {sql.now}", (sql.time(moment),))
    return row is not None and bool(row[0])


def adopt(job: NewJob) -> bool:
    """Write a job for a message that came without one: queued with its message at hand, or for later if it waits.

    Returns:
        Whether this call wrote it; false where another delivery of the message was first.
    """
    sql = dialect()
    values, parameters = _values(job, sql)
    dispatched = "NULL" if job.waits else sql.now
    statement = f"INSERT INTO jobs_job ({_COLUMNS}, dispatched_at) VALUES ({values}, {dispatched})"
    return one(statement + " ON CONFLICT (id) DO NOTHING RETURNING id", parameters) is not None


def _values(job: NewJob, sql: Dialect) -> tuple[str, list[Any]]:
    parameters = _without_times(job, sql)
    run_at = _moment(job.run_at, job.delay, sql, parameters) or sql.now
    expires_at = _moment(job.expires_at, job.expires_in, sql, parameters) or "NULL"
    unique_expires_at = _moment(None, _window(job), sql, parameters) or "NULL"
    deadline_at = _moment(job.deadline_at, job.deadline_in, sql, parameters) or "NULL"
    marks = ["%s"] * 4 + [sql.json] * 3 + ["%s"] * 12
    return ", ".join([*marks, run_at, expires_at, unique_expires_at, deadline_at]), parameters


def _window(job: NewJob) -> float | None:
    return job.unique_rule.within if job.unique_key else None


def _without_times(job: NewJob, sql: Dialect) -> list[Any]:
    """Return the values of `_COLUMNS`, but those of the four times that end it."""
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
        None if job.parent_id is None else sql.key(job.parent_id),
        job.unique_key,
        str(Until.DONE) if job.unique_key and job.unique_rule.until == Until.DONE else None,
        None if job.replay_of is None else sql.key(job.replay_of),
        job.limit_key,
        job.tenant,
        job.breaker,
        None if job.group_id is None else sql.key(job.group_id),
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


#: The types of the columns, as PostgreSQL reads them from JSON.
_TYPES = (
    "id uuid, task text, queue text, state text, args text, kwargs text, options text, priority int, max_retries int,"
    " correlation_id text, parent_id uuid, unique_key text, unique_until text, replay_of uuid, limit_key text,"
    " tenant text, breaker text, group_id uuid, group_index int, run_at timestamptz, expires_at timestamptz,"
    " unique_expires_at timestamptz,"
    " deadline_at timestamptz"
)


def _write(jobs: Sequence[NewJob]) -> None:
    """Write jobs of which none is in another's way."""
    records = _records(jobs)
    if dialect().name == "postgresql":
        with connection.cursor() as opened, opened.copy(f"COPY jobs_job ({_COLUMNS}) FROM STDIN") as copy:
            for record in records:
                copy.write_row(record)
    else:
        with connection.cursor() as opened:
            opened.executemany(f"{_INSERT} VALUES ({placeholders(records[0])})", records)


def _write_keyed(jobs: Sequence[NewJob]) -> set[uuid.UUID]:
    """Write the jobs whose keys are free. Returns their ids. Raises `unique.Taken`."""
    sql = dialect()
    records = _records(jobs)
    names = _COLUMNS.split(", ")
    text = json.dumps([dict(zip(names, record, strict=True)) for record in records], default=str)
    if sql.name == "postgresql":
        values = _COLUMNS.replace("args, kwargs, options", "args::jsonb, kwargs::jsonb, options::jsonb")
        return unique.written(_COLUMNS, values, f"jsonb_to_recordset(%s::jsonb) AS job ({_TYPES})", [text])
    return unique.written(_COLUMNS, ", ".join(f"value ->> '{name}'" for name in names), "json_each(%s)", [text])


def _records(jobs: Sequence[NewJob]) -> list[tuple[Any, ...]]:
    """Return the values of `_COLUMNS` for each job, with times by the database's clock."""
    sql = dialect()
    now = _now(sql)
    return [
        (
            *_without_times(job, sql),
            sql.time(job.run_at or now + timedelta(seconds=job.delay or 0)),
            *(
                sql.time(at if seconds is None else now + timedelta(seconds=seconds))
                for at, seconds in (
                    (job.expires_at, job.expires_in),
                    (None, _window(job)),
                    (job.deadline_at, job.deadline_in),
                )
            ),
        )
        for job in jobs
    ]


def _now(sql: Dialect) -> datetime:
    row = one(f"SELECT {sql.now}")
    now = row[0] if row else None
    return now if isinstance(now, datetime) else datetime.fromisoformat(str(now)).replace(tzinfo=UTC)
