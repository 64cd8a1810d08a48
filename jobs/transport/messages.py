"""The table of what `ledger://` carries besides jobs: messages to queues, and broadcasts to whoever listens."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.ledger.sql import dialect, marks
from jobs.transport.database import left_as_found, notify, rows

#: How long a broadcast is kept for those who listen, in seconds. A listener that is away longer has missed it, as
#: on any broker.
BROADCAST_SECONDS = 60.0

Envelope = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """A message to a queue, delivered to this consumer for a while."""

    id: int
    queue: str
    envelope: Envelope
    redelivered: bool


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A message to all who listen to an exchange."""

    id: int
    exchange: str
    routing_key: str
    envelope: str


def put(queue: str, envelope: Envelope, priority: int) -> None:
    """Add a message to a queue, in the caller's transaction if there is one."""
    with left_as_found():
        rows(
            connection,
            "INSERT INTO jobs_brokermessage (queue, priority, envelope) VALUES (%s, %s, %s)" + notify(f"m:{queue}"),
            [queue, priority, json.dumps(envelope)],
        )


def broadcast(exchange: str, routing_key: str, envelope: Envelope) -> None:
    """Tell all who listen to an exchange. Not worth waiting for the disk: nobody will ask for it after a crash."""
    with left_as_found():
        rows(
            connection,
            "INSERT INTO jobs_brokermessage (exchange, routing_key, envelope) VALUES (%s, %s, %s)"
            + notify(f"b:{exchange}", durable=connection.in_atomic_block),
            [exchange, routing_key, json.dumps(envelope)],
        )


def prune() -> None:
    """Delete broadcasts that are past their time."""
    with left_as_found():
        rows(
            connection,
            f"DELETE FROM jobs_brokermessage WHERE queue IS NULL AND created_at < {dialect().after}",  # noqa: S608
            [-BROADCAST_SECONDS],
        )


def take(database: BaseDatabaseWrapper, queues: Sequence[str], limit: int, lease_seconds: float) -> list[Taken]:
    """Take up to `limit` messages of these queues, the most urgent and oldest first."""
    words = dialect()
    free = f"queue IN ({marks(queues)}) AND (taken_until IS NULL OR taken_until <= {words.now})"
    parameters: list[object] = [*queues]
    if database.vendor == "sqlite":
        # An UPDATE takes SQLite's one write lock even where it finds nothing.
        if not rows(database, f"SELECT 1 FROM jobs_brokermessage WHERE {free} LIMIT 1", parameters):  # noqa: S608
            return []
    found = rows(
        database,
        f"WITH taken AS MATERIALIZED (SELECT id FROM jobs_brokermessage WHERE {free}"  # noqa: S608
        f" ORDER BY priority DESC, id LIMIT %s {words.skip_locked})"
        f" UPDATE jobs_brokermessage SET taken_until = {words.after}, deliveries = deliveries + 1"
        " WHERE id IN (SELECT id FROM taken) RETURNING priority, id, queue, envelope, deliveries",
        [*parameters, limit, lease_seconds],
    )
    found.sort(key=lambda row: (-row[0], row[1]))
    return [Taken(id, queue, json.loads(envelope), deliveries > 1) for _, id, queue, envelope, deliveries in found]


def delete(database: BaseDatabaseWrapper, ids: Collection[int]) -> None:
    """Forget messages that were settled."""
    if ids:
        rows(database, f"DELETE FROM jobs_brokermessage WHERE id IN ({marks(list(ids))})", list(ids))  # noqa: S608


def release(database: BaseDatabaseWrapper, ids: Collection[int]) -> None:
    """Give messages back to their queues."""
    if ids:
        rows(
            database,
            f"UPDATE jobs_brokermessage SET taken_until = NULL WHERE id IN ({marks(list(ids))})",  # noqa: S608
            list(ids),
        )


def renew(database: BaseDatabaseWrapper, ids: Collection[int], lease_seconds: float) -> None:
    """Keep messages that are not settled yet."""
    if ids:
        rows(
            database,
            f"UPDATE jobs_brokermessage SET taken_until = {dialect().after} WHERE id IN ({marks(list(ids))})",  # noqa: S608
            [lease_seconds, *ids],
        )


def newest(database: BaseDatabaseWrapper) -> int:
    """Return the id of the newest message there is."""
    ((newest,),) = rows(database, "SELECT COALESCE(MAX(id), 0) FROM jobs_brokermessage")
    return int(newest)


def heard(database: BaseDatabaseWrapper, exchanges: Collection[str], after: int) -> list[Broadcast]:
    """Return the broadcasts to these exchanges after the one with this id."""
    found = rows(
        database,
        "SELECT id, exchange, routing_key, envelope FROM jobs_brokermessage"  # noqa: S608
        f" WHERE queue IS NULL AND id > %s AND exchange IN ({marks(list(exchanges))}) ORDER BY id",
        [after, *exchanges],
    )
    return [Broadcast(*row) for row in found]


def size(queue: str) -> int:
    """Return how many messages and free jobs wait in a queue."""
    with left_as_found():
        ((count,),) = rows(
            connection,
            "SELECT (SELECT COUNT(*) FROM jobs_brokermessage WHERE queue = %s)"
            " + (SELECT COUNT(*) FROM jobs_job WHERE state = 'queued' AND dispatched_at IS NULL AND queue = %s)",
            [queue, queue],
        )
    return int(count)


def purge(queue: str) -> int:
    """Delete the messages of a queue; its jobs are the ledger's. Returns how many."""
    with left_as_found():
        return len(rows(connection, "DELETE FROM jobs_brokermessage WHERE queue = %s RETURNING id", [queue]))
