"""Fetching jobs for delivery without a broker: with `ledger://` a queued row is its own message.

A worker that fetches a row stamps it `dispatched_at`, and others pass it by. Its state does not change: only a claim
does that. The stamp comes off when the worker gives the row back, or has not begun it for a while.
"""

import uuid
from collections.abc import Collection, Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.core.states import WAITING, State
from jobs.ledger.dialect import dialect
from jobs.ledger.maintain import DISPATCHABLE, Dispatchable, dispatchable
from jobs.ledger.queues import BY_MESSAGE, NOT_HELD, NOT_HELD_IN_ORDER, queues_with
from jobs.ledger.sql import free, in_state, rows

_WAITING = ", ".join(f"'{state}'" for state in sorted(WAITING))

#: Jobs that nobody has.
_FREE = f"{NOT_HELD_IN_ORDER} AND dispatched_at IS NULL"
_ORDER = "ORDER BY priority DESC, run_at, id"
_COLUMNS = DISPATCHABLE.split(", ")
_QUEUE, _PRIORITY, _RUN_AT = _COLUMNS.index("queue"), _COLUMNS.index("priority"), len(_COLUMNS)
_PAUSED = "SELECT 1 FROM jobs_queue WHERE name = {queue} AND paused_at IS NOT NULL"


def fetch_jobs(database: BaseDatabaseWrapper, queues: Sequence[str], limit: int) -> list[Dispatchable]:
    """Take up to `limit` free jobs, of each queue the most urgent and oldest ones, from the first queue on."""
    take = _fetch_skipping if database.vendor == "postgresql" else _fetch_in_turn
    place = {queue: number for number, queue in enumerate(queues)}
    # `RETURNING` keeps no order. The ids of one moment are in the order in which they were made.
    taken = sorted(
        take(database, queues, limit),
        key=lambda row: (place[row[_QUEUE]], -row[_PRIORITY], row[_RUN_AT], row[0]),
    )
    return [dispatchable(row[:_RUN_AT]) for row in taken]


def _fetch_skipping(database: BaseDatabaseWrapper, queues: Sequence[str], limit: int) -> list[tuple[Any, ...]]:
    # The limit stops the loop over queues as soon as it is reached; no further queue is even looked at.
    moving = (
        "SELECT wanted.queue FROM unnest(%s::text[]) WITH ORDINALITY AS wanted (queue, place)"
        f" WHERE NOT EXISTS ({_PAUSED.format(queue='wanted.queue')}) ORDER BY wanted.place"
    )
    return _rows(
        database,
        f"WITH taken AS MATERIALIZED (SELECT job.id FROM ({moving}) AS moving CROSS JOIN LATERAL ("
        f"SELECT id FROM jobs_job WHERE {_FREE} AND queue = moving.queue {_ORDER} LIMIT %s {dialect().skip_locked}"
        ") AS job LIMIT %s)"
        f" UPDATE jobs_job SET dispatched_at = {dialect().now} WHERE id IN (SELECT id FROM taken)"
        # A stamp is not worth waiting for the disk: without it the row is handed out once more.
        f" RETURNING {DISPATCHABLE}, run_at, set_config('synchronous_commit', 'off', true)",
        [list(queues), limit, limit],
    )


def _fetch_in_turn(database: BaseDatabaseWrapper, queues: Sequence[str], limit: int) -> list[tuple[Any, ...]]:
    # An UPDATE takes SQLite's one write lock even where it finds nothing; so a plain SELECT looks first.
    found: list[Any] = []
    for queue in queues:
        if len(found) < limit:
            found += _rows(
                database,
                f"SELECT id FROM jobs_job WHERE {_FREE} AND queue = %s"
                f" AND NOT EXISTS ({_PAUSED.format(queue='%s')}) {_ORDER} LIMIT %s",
                [queue, queue, limit - len(found)],
            )
    if not found:
        return []
    sql = dialect()
    return _rows(
        database,
        f"UPDATE jobs_job SET dispatched_at = {sql.now} WHERE {_FREE} AND id {sql.is_one_of_ids}"
        f" RETURNING {DISPATCHABLE}, run_at",
        [sql.ids(sql.to_uuid(job_id) for (job_id,) in found)],
    )


def release(database: BaseDatabaseWrapper, job_ids: Collection[uuid.UUID]) -> list[str]:
    """Let others have jobs that were fetched and not begun. Returns their queues."""
    if not job_ids:
        return []
    sql = dialect()
    waiting = f"id {sql.is_one_of_ids} AND {in_state(State.QUEUED)}"
    return _queues(
        _rows(
            database,
            f"UPDATE jobs_job SET dispatched_at = NULL WHERE {free(waiting)} RETURNING queue",
            [sql.ids(job_ids)],
        )
    )


def queue_due(limit: int) -> tuple[int, list[str]]:
    """scheduled, retrying → queued for jobs whose time has come. Returns how many, and their queues."""
    sql = dialect()
    return _freed(
        f"state IN ({_WAITING}) AND run_at <= {sql.now} ORDER BY run_at LIMIT %s",
        [limit],
        f"state = '{State.QUEUED}', dispatched_at = NULL, changed_at = {sql.now}",
    )


def redispatch(waited_seconds: float, limit: int) -> tuple[int, list[str]]:
    """Let others have jobs fetched that long ago and not begun. Returns how many, and their queues.

    Their worker is dead or busy; it may still begin them, since only the claim decides who has a job.
    """
    waited = f"dispatched_at <= {dialect().after}"
    count, queues = 0, []
    for (queue,) in rows(queues_with(waited), [-waited_seconds]):
        freed, _ = _freed(
            f"{NOT_HELD} AND queue = %s AND {waited} {BY_MESSAGE} LIMIT %s",
            [queue, -waited_seconds, limit - count],
            "dispatched_at = NULL",
        )
        if freed:
            count += freed
            queues.append(queue)
    return count, queues


def _freed(where: str, parameters: list[object], changes: str) -> tuple[int, list[str]]:
    freed = rows(
        f"WITH freed AS MATERIALIZED (SELECT id FROM jobs_job WHERE {where} {dialect().skip_locked})"
        f" UPDATE jobs_job SET {changes} WHERE id IN (SELECT id FROM freed) RETURNING queue",
        parameters,
    )
    return len(freed), _queues(freed)


def _queues(found: list[tuple[Any, ...]]) -> list[str]:
    return sorted({queue for (queue,) in found})


def _rows(database: BaseDatabaseWrapper, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
