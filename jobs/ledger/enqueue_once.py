"""Jobs that may be there already come into the ledger: each is written, or relies on the one that is there.

A job is there under the id that its caller gave, or with its unique key (`jobs.ledger.unique`).
"""

import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.core.versions import version_of
from jobs.errors import EnqueueError
from jobs.ledger import unique
from jobs.ledger.dialect import dialect
from jobs.ledger.enqueue import COLUMNS, NewJob, Written, insert, insert_many, records, row
from jobs.ledger.sql import RowLocked, one, rows

#: How often a job is written that finds another in its way, which is gone when it is looked for.
MOST_TRIES = 10


def write(job: NewJob) -> Written:
    """Write one job in the caller's transaction.

    Returns:
        It, or the job already there: under the id the caller gave, or holding the same unique key.

    Raises:
        EnqueueError: the id given is that of another task's job, or something in the database keeps the row out.
        OperationalError: under REPEATABLE READ or SERIALIZABLE, the job already there came after the transaction
            began. PostgreSQL then wants the whole transaction run again.
    """
    if not job.may_be_there:
        return insert(job)
    values, parameters = row(job)
    # The job in the way may begin between the two statements and so free the key: then it is tried again.
    for _ in range(MOST_TRIES):
        try:
            if there := _relied_on(job):
                return Written(there, is_new=False)
            if _is_written(job, values, parameters):
                return Written(job.id, is_new=True)
        except (unique.Taken, RowLocked):
            return write(job._replace(unique_key=None))
        if there := _one_with_id(job) or _relied_on_begun(_keys(job)):
            return Written(there, is_new=False)
    if job.unique_key:
        # Somebody's transaction has locked the job that waits, and may do so for hours: it cannot be relied on.
        return write(job._replace(unique_key=None, given_id=True))
    raise EnqueueError(
        f"{job.task}: job {job.id} could not be written in {MOST_TRIES} tries: the database takes no row with this id,"
        " and shows none that has it."
    )


def _keys(job: NewJob) -> list[str]:
    """Return all keys under which a job may be there that this one must join."""
    return [job.unique_key, *job.earlier_keys] if job.unique_key else []


def _relied_on(job: NewJob) -> uuid.UUID | None:
    """Return the job that waits with the same key, and is changed as the call's rule says. Raises RowLocked."""
    if not job.unique_key:
        return None
    if job.unique_rule.replace:
        there = unique.replace(_keys(job), _replacement(job))
    else:
        there = next(iter(unique.waiting(_keys(job)).values()), None)
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
        return bool(unique.written(COLUMNS, values, "", parameters))
    statement = f"INSERT INTO jobs_job ({COLUMNS}) VALUES ({values}) ON CONFLICT DO NOTHING RETURNING id"
    return one(statement, parameters) is not None


def existing(job_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of the ids that are ids of jobs."""
    sql = dialect()
    found = rows(f"SELECT id FROM jobs_job WHERE id {sql.is_one_of_ids}", [sql.ids(job_ids)]) if job_ids else []
    return {sql.to_uuid(job_id) for (job_id,) in found}


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


def write_many(jobs: Sequence[NewJob]) -> list[uuid.UUID]:
    """Write many jobs in the caller's transaction, a few statements for all. No job has the id of one that is there.

    Returns:
        Their ids, in order; as `write` does for those with a unique key. A job is new if the id is its own, and no
        other before it has the same.
    """
    if any(job.unique_rule.replace for job in jobs):
        # Each changes what the one before it has written.
        return [write(job).id for job in jobs]
    plain = [job for job in jobs if not job.unique_key]
    if plain:
        insert_many(plain)
    keyed = {job.unique_key: job for job in reversed(jobs) if job.unique_key}
    ids = _insert_keyed(keyed)
    # The others of this call with one key rely on the first one.
    unique.count_call(_further([ids[job.unique_key] for job in jobs if job.unique_key]))
    return [ids[job.unique_key] if job.unique_key else job.id for job in jobs]


def _further(ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Return each id as often as it stands there after its first time."""
    return list((Counter(ids) - Counter(set(ids))).elements())


def _insert_keyed(jobs: Mapping[str, NewJob]) -> dict[str, uuid.UUID]:
    wanted = [key for job in jobs.values() for key in _keys(job)]
    earlier = [key for job in jobs.values() for key in job.earlier_keys]
    found = unique.waiting(wanted) if wanted else {}
    found |= unique.begun(earlier) if earlier else {}
    ids = {key: found[there] for key, job in jobs.items() for there in _keys(job) if there in found}
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
            ids[key] = write(job).id
    return ids


#: The types of the columns, as PostgreSQL reads them from JSON.
_TYPES = (
    "id uuid, task text, queue text, state text, args text, kwargs text, options text, priority int, max_retries int,"
    " correlation_id text, parent_id uuid, unique_key text, unique_until text, replay_of uuid, limit_key text,"
    " tenant text, breaker text, group_id uuid, group_index int, run_at timestamptz, expires_at timestamptz,"
    " unique_expires_at timestamptz,"
    " deadline_at timestamptz"
)


def _write_keyed(jobs: Sequence[NewJob]) -> set[uuid.UUID]:
    """Write the jobs whose keys are free. Returns their ids. Raises `unique.Taken`."""
    names = COLUMNS.split(", ")
    text = json.dumps([dict(zip(names, record, strict=True)) for record in records(jobs)], default=str)
    if dialect().name == "postgresql":
        values = COLUMNS.replace("args, kwargs, options", "args::jsonb, kwargs::jsonb, options::jsonb")
        return unique.written(COLUMNS, values, f"jsonb_to_recordset(%s::jsonb) AS job ({_TYPES})", [text])
    return unique.written(COLUMNS, ", ".join(f"value ->> '{name}'" for name in names), "json_each(%s)", [text])
