"""Unique keys: one job has a key, until it begins or for longer, and who wants another one relies on it.

Relying on one that waits is safe on PostgreSQL because the row found is locked: it cannot be claimed before the
caller's transaction ends, so the job sees what the caller has written. Callers do not keep each other out; claims pass
the row by meanwhile.

Two callers who write the same key at once are kept apart by the index, in which one waits until he knows what became
of the other's job. That would be as long as the other's transaction lasts, and two callers with two keys in different
orders would wait for each other. So nobody waits for longer than a moment: then he writes a job of his own without the
key, one too many perhaps and none too few.

A job that has begun, and holds its key until its end or for a time, is relied on as it is. Once that is over, whoever
wants the key next takes it away.

On SQLite a transaction that writes is alone from its beginning to its end.
"""

import time
import uuid
import weakref
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import OperationalError, connection, transaction

from jobs.core.held_by import HeldBy
from jobs.core.states import WAITING, State
from jobs.core.versions import OPTION as VERSION
from jobs.ledger import lock_timeout
from jobs.ledger.dialect import Dialect, dialect
from jobs.ledger.sql import change_one, changed, free, in_state, rows

#: How long another's job with the same key is waited for, in milliseconds: longer than a short transaction takes.
LOCK_TIMEOUT = 100

#: For so many seconds after such a wait has ended in vain its connection does not wait again: it may have a thousand
#: keys to write.
_SECONDS_WITHOUT = 5.0

#: When the time of a connection last passed, by the monotonic clock.
_passed: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()


class Taken(Exception):
    """Raised where a transaction that goes on has written a job with the same key."""


#: Holds for jobs that wait for an attempt, found by their keys.
_WAITS = in_state(*WAITING, State.QUEUED)

#: Holds for jobs that wait for their first attempt: those that have begun show it, until it is given back.
_HAS_NOT_BEGUN = in_state(State.SCHEDULED, State.QUEUED)


def waiting(keys: Collection[str]) -> dict[str, uuid.UUID]:
    """Return the jobs that wait under these keys. None of them begins before the transaction ends."""
    sql = dialect()
    lock = "FOR SHARE SKIP LOCKED" if sql.name == "postgresql" else ""
    found = rows(
        f"SELECT unique_key, id FROM jobs_job WHERE unique_key {sql.is_one_of} AND {_WAITS}"
        # One that waits for its next attempt has begun.
        f" AND NOT ({_is_over(sql)}) {lock}",
        [sql.array(list(keys))],
    )
    return {key: sql.to_uuid(job_id) for key, job_id in found}


def begun(keys: Collection[str]) -> dict[str, uuid.UUID]:
    """Return the jobs that have begun, or ended, and hold these keys still; keys held for too long are let go.

    Left out is one whose row another transaction holds to delete it.
    """
    sql = dialect()
    changed(
        f"UPDATE jobs_job SET unique_key = NULL WHERE {free(f'unique_key {sql.is_one_of} AND {_is_over(sql)}')}",
        [sql.array(list(keys))],
    )
    lock = "FOR KEY SHARE SKIP LOCKED" if sql.name == "postgresql" else ""
    found = rows(
        f"SELECT unique_key, id FROM jobs_job WHERE unique_key {sql.is_one_of} AND NOT {_WAITS}"
        f" AND NOT ({_is_over(sql)}) {lock}",
        [sql.array(list(keys))],
    )
    return {key: sql.to_uuid(job_id) for key, job_id in found}


def _is_over(sql: Dialect) -> str:
    """Return the condition on jobs that have a key and do not hold it any more: the time for which they did is over."""
    ended = f"finished_at IS NOT NULL OR unique_until IS NULL AND {in_state(State.RUNNING, State.RETRYING)}"
    return f"COALESCE(unique_expires_at <= {sql.now}, TRUE) AND ({ended})"


@dataclass(frozen=True, slots=True)
class Replacement:
    """What a further call changes of the job that waits.

    Attributes:
        arguments: JSON texts of `args` and `kwargs`; None where they stay.
        flow: with new arguments, the job's `limit_key`, `tenant` and `breaker`.
        moves: whether it is due at another time: at `run_at`, else `delay` seconds from now.
        max_delay: how long after it was enqueued that may be at most, in seconds.
        version: of the arguments.
    """

    arguments: tuple[str, str] | None = None
    flow: tuple[str | None, str | None, str | None] = (None, None, None)
    moves: bool = False
    run_at: datetime | None = None
    delay: float = 0.0
    max_delay: float | None = None
    version: int = 1


def replace(keys: Collection[str], replacement: Replacement) -> uuid.UUID | None:
    """Change the job that waits to begin under one of these keys. Returns it; None where none does.

    One that is due already stays due, and only its arguments are changed.

    Raises:
        RowLocked: another transaction holds its row for longer than a moment.
    """
    sql = dialect()
    there = rows(
        f"SELECT id FROM jobs_job WHERE unique_key {sql.is_one_of} AND {_HAS_NOT_BEGUN}", [sql.array(list(keys))]
    )
    if not there:
        return None
    job_id = sql.to_uuid(there[0][0])
    changes, parameters = _replaced(replacement, sql)
    condition = f"id = %s AND unique_key {sql.is_one_of} AND {_HAS_NOT_BEGUN}"
    meant = [sql.key(job_id), sql.array(list(keys))]
    return job_id if change_one(job_id, condition, meant, f"UPDATE jobs_job SET {changes}", parameters) else None


def _replaced(replacement: Replacement, sql: Dialect) -> tuple[str, list[object]]:
    """Return what an UPDATE sets, and its parameters."""
    changes = [f"changed_at = {sql.now}"]
    parameters: list[object] = []
    if replacement.arguments is not None:
        changes.append(f"args = {sql.json}, kwargs = {sql.json}, options = {_of_version(replacement.version, sql)}")
        parameters += replacement.arguments
        released, given = _released(replacement.flow)
        changes.append(released)
        parameters += given
    if replacement.moves:
        due = sql.after if replacement.run_at is None else "%s"
        parameters.append(replacement.delay if replacement.run_at is None else sql.time(replacement.run_at))
        if replacement.max_delay is not None:
            least = "LEAST" if sql.name == "postgresql" else "MIN"
            due = f"{least}({due}, {sql.later('created_at')})"
            parameters.append(replacement.max_delay)
        changes.append(f"run_at = CASE WHEN state = '{State.SCHEDULED}' THEN {due} ELSE run_at END")
    return ", ".join(changes), parameters


def _released(flow: tuple[str | None, str | None, str | None]) -> tuple[str, list[object]]:
    """Return what has a job be another limit's, tenant's or breaker's, and its parameters.

    In the line where it has waited it waits no more: it is dispatched, and what keeps it now is decided at its claim.
    """
    names = ("limit_key", "tenant", "breaker")
    differs = " OR ".join(f"{name} IS DISTINCT FROM %s" for name in names)
    kept_by = ", ".join(f"'{by}'" for by in (HeldBy.LIMIT, HeldBy.PAUSED, HeldBy.BREAKER))
    changes = [f"{name} = %s" for name in names]
    parameters: list[object] = [*flow]
    for name in ("held_since", "held_rule", "dispatched_at", "held_by"):
        changes.append(f"{name} = CASE WHEN held_by IN ({kept_by}) AND ({differs}) THEN NULL ELSE {name} END")
        parameters += flow
    return ", ".join(changes), parameters


def _of_version(version: int, sql: Dialect) -> str:
    """Return a job's options once its arguments are of this version; 1 is not said."""
    if sql.name == "postgresql":
        said = f"COALESCE(options, '{{}}') || '{{\"{VERSION}\": {version:d}}}'"
        return said if version > 1 else f"options - '{VERSION}'"
    said = f"json_set(COALESCE(options, '{{}}'), '$.{VERSION}', {version:d})"
    return said if version > 1 else f"json_remove(options, '$.{VERSION}')"


def count_call(job_ids: Sequence[uuid.UUID]) -> None:
    """Note for each of these jobs that a call relies on it: as many calls as it is named."""
    if job_ids:
        sql = dialect()
        values = ", ".join(["(%s)"] * len(job_ids))
        changed(f"INSERT INTO jobs_uniquecall (job_id) VALUES {values}", [sql.key(job_id) for job_id in job_ids])


def written(columns: str, values: str, source: str, parameters: Sequence[Any]) -> set[uuid.UUID]:
    """Write jobs whose keys nobody has.

    Args:
        columns: those that are written.
        values: what is written into them, once or for each row of the source.
        source: a table; nothing for one job.
        parameters: the parameters of both.

    Returns:
        The ids of those written.

    Raises:
        Taken: nothing was written. Another transaction has written a job with one of the keys, and goes on.
    """
    sql = dialect()
    insert = f"INSERT INTO jobs_job ({columns}) SELECT {values} FROM {{source}} ON CONFLICT DO NOTHING RETURNING id"
    if sql.name == "postgresql":
        found = _written_in_time(insert.format(source=", ".join(filter(None, ["limited", source]))), parameters)
    else:
        # Without a condition SQLite takes ON CONFLICT for a part of the SELECT.
        found = rows(insert.format(source=f"{source or '(SELECT 1)'} WHERE TRUE"), parameters)
    return {sql.to_uuid(job_id) for (job_id,) in found}


def _written_in_time(insert: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    statement = (
        f"WITH {lock_timeout.LIMITED}, written AS ({insert}),"
        f" restored AS MATERIALIZED (SELECT {lock_timeout.RESTORED} WHERE (SELECT COUNT(*) FROM written) >= 0)"
        " SELECT written.id FROM restored, written"
    )
    try:
        # What fails would take a transaction of the caller's with it.
        with transaction.atomic():
            return rows(statement, [f"{_longest_wait()}ms", *parameters])
    except OperationalError as exc:
        if not lock_timeout.has_passed(exc):
            raise
        _passed[connection.connection] = time.monotonic()
        raise Taken from exc


def _longest_wait() -> int:
    passed = _passed.get(connection.connection)
    return LOCK_TIMEOUT if passed is None or time.monotonic() - passed > _SECONDS_WITHOUT else 1
