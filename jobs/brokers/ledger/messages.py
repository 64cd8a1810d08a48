"""The table of what `ledger://` carries besides jobs: messages to queues, and broadcasts to whoever listens."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from kombu.utils.json import dumps, loads

from jobs.brokers.envelopes import readable
from jobs.ledger.dialect import dialect
from jobs.ledger.notify import CHANNEL, RELAXED, left_as_found, rows
from jobs.ledger.sql import placeholders

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
    #: Until nobody wants it any more; None where it does not expire.
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A message to all who listen to an exchange."""

    id: int
    exchange: str
    routing_key: str
    envelope: str
    seconds_left: float | None = None


#: Holds for messages that somebody may still want.
_WANTED = "(expires_at IS NULL OR expires_at > {now})"


def seconds_to_live(envelope: Envelope) -> float | None:
    """Return for how many seconds a message may wait to be delivered, by its `expiration`; None for ever.

    https://www.rabbitmq.com/docs/ttl#per-message-ttl-in-publishers

    Raises:
        ValueError: it says what is no number of milliseconds.
    """
    given = envelope["properties"].get("expiration")
    if given is None:
        return None
    if not (str(given).isascii() and str(given).isdigit() and len(str(given)) < 13):
        raise ValueError(f"expiration={given!r:.100} is not valid: it must be milliseconds, a whole number in digits.")
    return int(given) / 1000


def put(queue: str, envelope: Envelope, priority: int) -> None:
    """Add a message to a queue, in the caller's transaction if there is one."""
    _insert("queue, priority", [queue, priority], envelope, f"m:{queue}", durable=True)


def broadcast(exchange: str, routing_key: str, envelope: Envelope) -> None:
    """Tell all who listen to an exchange. Not worth waiting for the disk: nobody asks for it after a crash."""
    _insert("exchange, routing_key", [exchange, routing_key], envelope, f"b:{exchange}", durable=False)


def _insert(columns: str, values: list[object], envelope: Envelope, notice: str, *, durable: bool) -> None:
    lives = seconds_to_live(envelope)
    expires_at = "NULL" if lives is None else dialect().after
    statement = f"INSERT INTO jobs_brokermessage ({columns}, envelope, expires_at) VALUES (%s, %s, %s, {expires_at})"
    parameters = [*values, dumps(envelope), *([] if lives is None else [lives])]
    with left_as_found():
        if connection.vendor == "postgresql":
            # How a caller's own transaction commits is the caller's business.
            relaxed = "" if durable or connection.in_atomic_block else f", {RELAXED}"
            statement += f" RETURNING pg_notify('{CHANNEL}', %s){relaxed}"
            parameters.append(notice)
        rows(connection, statement, parameters)


def prune() -> None:
    """Delete broadcasts that are past their time, and what nobody wants any more."""
    with left_as_found():
        rows(
            connection,
            f"DELETE FROM jobs_brokermessage WHERE queue IS NULL AND created_at < {dialect().after}",
            [-BROADCAST_SECONDS],
        )
        rows(connection, f"DELETE FROM jobs_brokermessage WHERE expires_at <= {dialect().now}")


def take(database: BaseDatabaseWrapper, queues: Sequence[str], limit: int, lease_seconds: float) -> list[Taken]:
    """Take up to `limit` messages, of each queue the most urgent and oldest ones, from the first queue on."""
    sql = dialect()
    chosen, parameters = _chosen(database, queues, limit)
    relaxed = f", {RELAXED}" if database.vendor == "postgresql" else ""
    found = (
        rows(
            database,
            f"WITH taken AS MATERIALIZED ({chosen})"
            f" UPDATE jobs_brokermessage SET taken_until = {sql.after}, deliveries = deliveries + 1"
            " WHERE id IN (SELECT id FROM taken) RETURNING priority, id, queue, envelope, deliveries,"
            f" {sql.seconds_until('expires_at')}{relaxed}",
            [*parameters, lease_seconds],
        )
        if parameters
        else []
    )
    found.sort(key=lambda row: (queues.index(row[2]), -row[0], row[1]))
    return [
        Taken(message_id, queue, readable(envelope, queue, loads), deliveries > 1, seconds_left)
        for _, message_id, queue, envelope, deliveries, seconds_left, *_ in found
    ]


def _chosen(database: BaseDatabaseWrapper, queues: Sequence[str], limit: int) -> tuple[str, list[object]]:
    """Return the SELECT of the messages to take, and its parameters; none where there is nothing to take."""
    now = dialect().now
    free = f"(taken_until IS NULL OR taken_until <= {now}) AND {_WANTED.format(now=now)}"
    if database.vendor == "postgresql":
        # The limit stops the loop over queues as soon as it is reached; no further queue is even looked at.
        return (
            "SELECT message.id FROM unnest(%s::text[]) AS wanted (queue) CROSS JOIN LATERAL ("
            f"SELECT id FROM jobs_brokermessage WHERE queue = wanted.queue AND {free}"
            " ORDER BY priority DESC, id LIMIT %s FOR UPDATE SKIP LOCKED) AS message LIMIT %s"
        ), [list(queues), limit, limit]
    # An UPDATE takes SQLite's one write lock even where it finds nothing; so a plain SELECT looks first.
    found: list[object] = []
    for queue in queues:
        found += [
            message_id
            for (message_id,) in rows(
                database,
                f"SELECT id FROM jobs_brokermessage WHERE queue = %s AND {free} ORDER BY priority DESC, id LIMIT %s",
                [queue, limit - len(found)],
            )
        ]
    return f"SELECT id FROM jobs_brokermessage WHERE {free} AND id IN ({placeholders(found)})", found


def delete(database: BaseDatabaseWrapper, ids: Collection[int]) -> None:
    """Forget messages that were settled."""
    if ids:
        rows(database, f"DELETE FROM jobs_brokermessage WHERE id IN ({placeholders(list(ids))})", list(ids))


def release(database: BaseDatabaseWrapper, ids: Collection[int]) -> None:
    """Give messages back to their queues."""
    if ids:
        rows(
            database,
            f"UPDATE jobs_brokermessage SET taken_until = NULL WHERE id IN ({placeholders(list(ids))})",
            list(ids),
        )


def renew(database: BaseDatabaseWrapper, ids: Collection[int], lease_seconds: float) -> None:
    """Keep messages that are not settled yet."""
    if ids:
        rows(
            database,
            f"UPDATE jobs_brokermessage SET taken_until = {dialect().after} WHERE id IN ({placeholders(list(ids))})",
            [lease_seconds, *ids],
        )


def newest(database: BaseDatabaseWrapper) -> int:
    """Return the id of the newest message there is."""
    ((newest,),) = rows(database, "SELECT COALESCE(MAX(id), 0) FROM jobs_brokermessage")
    return int(newest)


def heard(database: BaseDatabaseWrapper, exchanges: Sequence[str], after: int, seen: Sequence[int]) -> list[Broadcast]:
    """Return the broadcasts to these exchanges after the one with the id `after`, without those seen already."""
    fresh = f"AND id NOT IN ({placeholders(seen)})" if seen else ""
    found = rows(
        database,
        f"SELECT id, exchange, routing_key, envelope, {dialect().seconds_until('expires_at')} FROM jobs_brokermessage"
        f" WHERE queue IS NULL AND id > %s AND exchange IN ({placeholders(exchanges)}) {fresh}"
        f" AND {_WANTED.format(now=dialect().now)} ORDER BY id",
        [after, *exchanges, *seen],
    )
    return [Broadcast(*row) for row in found]


def size(queue: str) -> int:
    """Return how many messages and free jobs wait in a queue."""
    with left_as_found():
        ((count,),) = rows(
            connection,
            "SELECT (SELECT COUNT(*) FROM jobs_brokermessage WHERE queue = %s"
            f" AND {_WANTED.format(now=dialect().now)})"
            " + (SELECT COUNT(*) FROM jobs_job WHERE state = 'queued' AND dispatched_at IS NULL AND queue = %s)",
            [queue, queue],
        )
    return int(count)


def purge(queue: str) -> int:
    """Delete the messages of a queue; its jobs are the ledger's. Returns how many."""
    with left_as_found():
        return len(rows(connection, "DELETE FROM jobs_brokermessage WHERE queue = %s RETURNING id", [queue]))
