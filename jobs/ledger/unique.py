"""Unique keys: of the jobs that wait to begin, one has a key, and who wants another one relies on it.

Relying is safe on PostgreSQL because the row found is locked: it cannot be claimed before the caller's transaction
ends, so the job sees what the caller has written. Callers do not keep each other out; claims pass the row by meanwhile.

Two callers who write the same key at once are kept apart by the index, in which one waits until he knows what became
of the other's job. That would be as long as the other's transaction lasts, and two callers with two keys in different
orders would wait for each other. So nobody waits for longer than a moment: then he writes a job of his own without the
key, one too many perhaps and none too few.

On SQLite a transaction that writes is alone from its beginning to its end.
"""

import time
import uuid
import weakref
from collections.abc import Collection, Sequence
from typing import Any

from django.db import OperationalError, connection, transaction

from jobs.ledger.sql import dialect, rows

#: How long another's job with the same key is waited for, in milliseconds: longer than a short transaction takes.
PATIENCE = 100

#: Who has waited in vain does not wait again for so many seconds: he may have a thousand keys to write.
_IMPATIENT_SECONDS = 5.0

#: How PostgreSQL says that a lock was not to be had in time, and that two waited for each other: `lock_not_available`,
#: `deadlock_detected` (its documentation, appendix A).
_WAITED_IN_VAIN = frozenset({"55P03", "40P01"})

#: When a connection last waited in vain, by the monotonic clock.
_waited: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()


class Taken(Exception):
    """Raised where a transaction that goes on has written a job with the same key."""


def waiting(keys: Collection[str]) -> dict[str, uuid.UUID]:
    """Return the jobs that wait under these keys. None of them begins before the transaction ends."""
    sql = dialect()
    lock = "FOR SHARE SKIP LOCKED" if sql.name == "postgresql" else ""
    found = rows(
        f"SELECT unique_key, id FROM jobs_job WHERE unique_key {sql.is_one_of} {lock}", [sql.array(list(keys))]
    )
    return {key: sql.to_uuid(job_id) for key, job_id in found}


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
        found = _written_impatiently(insert.format(source=", ".join(filter(None, ["patience", source]))), parameters)
    else:
        # Without a condition SQLite takes ON CONFLICT for a part of the SELECT.
        found = rows(insert.format(source=f"{source or '(SELECT 1)'} WHERE TRUE"), parameters)
    return {sql.to_uuid(job_id) for (job_id,) in found}


def _written_impatiently(insert: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    # In one statement, and the caller's own setting is as it was after it: each part reads from the one before it.
    statement = (
        "WITH patience AS MATERIALIZED (SELECT current_setting('lock_timeout') AS before,"
        " set_config('lock_timeout', %s, true)),"
        f" written AS ({insert}),"
        " restored AS MATERIALIZED (SELECT set_config('lock_timeout', before, true) FROM patience"
        " WHERE (SELECT COUNT(*) FROM written) >= 0)"
        " SELECT written.id FROM restored, written"
    )
    try:
        # What fails would take a transaction of the caller's with it.
        with transaction.atomic():
            return rows(statement, [f"{_patience()}ms", *parameters])
    except OperationalError as exc:
        if getattr(exc.__cause__, "sqlstate", None) not in _WAITED_IN_VAIN:
            raise
        _waited[connection.connection] = time.monotonic()
        raise Taken from exc


def _patience() -> int:
    waited = _waited.get(connection.connection)
    return PATIENCE if waited is None or time.monotonic() - waited > _IMPATIENT_SECONDS else 1
