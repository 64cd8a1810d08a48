"""Dead letters from the broker into the table, where people search, replay and discard them."""

import logging
import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery import Celery
from django.apps import apps
from django.db import DatabaseError, DataError, transaction
from django.utils import timezone
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from jobs.conf import brokers
from jobs.core.delivery import portable, whole
from jobs.core.moments import is_possible
from jobs.core.outcome import Reason
from jobs.deadletters import codec
from jobs.enqueue.brokers import url_of
from jobs.enqueue.message import CORRELATION_HEADER
from jobs.enqueue.set_aside import SetAside, connection_errors
from jobs.ledger.attempts import storable

logger = logging.getLogger(__name__)

#: Letters stored in one statement.
BATCH = 500


class Archiver:
    """Moves dead letters into the `DeadLetter` table. Idempotent: a letter delivered twice is stored once.

    A letter leaves the broker only once it is stored: that of an unreadable message has no row in the ledger to be
    sent again from.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._connection: Connection | None = None
        self._set_aside = SetAside("archiver")

    def archive(self) -> bool:
        """Archive a batch of each queue's letters. Returns whether there may be more.

        Call it while the database can be used: nothing should be taken from the broker while it cannot be stored.
        """
        full = [queue for queue in self._queues() if self._tried(queue)]
        return bool(full)

    def _queues(self) -> list[str]:
        """Return the queues of the broker at which this worker listens; the letters of others are for their workers."""
        here = self._app.conf.broker_read_url
        return [queue for queue in list(self._app.amqp.queues) if not brokers() or url_of(self._app, queue) == here]

    def _tried(self, queue: str) -> bool:
        """Archive a batch of a queue's letters. What is wrong with its dead-letter queue keeps no other from it."""
        if self._set_aside.holds(codec.dead_queue(queue)):
            return False
        try:
            full = self._archive(queue)
        except BaseException as exc:
            broken: tuple[Any, ...] = (
                OperationalError,
                DatabaseError,
                *connection_errors(self._connection or self._app.connection()),
            )
            self.close()
            if isinstance(exc, broken) or not isinstance(exc, Exception):
                raise
            self._set_aside.add(codec.dead_queue(queue), exc)
            return False
        self._set_aside.remove(codec.dead_queue(queue))
        return full

    def close(self) -> None:
        """Drop the connection; what was taken and not acknowledged goes back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _channel(self) -> Any:
        if self._connection is None:
            self._connection = self._app.connection_for_read()
            self._connection.ensure_connection(max_retries=0, timeout=self._app.conf.broker_connection_timeout)
        return self._connection.default_channel

    def _archive(self, queue: str) -> bool:
        channel, dead_queue = self._channel(), codec.dead_queue(queue)
        taken = _peeked(channel, dead_queue) if hasattr(channel, "peek") else self._fetched(channel, dead_queue)
        if not taken.messages:
            return False
        store(taken.messages, queue)
        taken.settle()
        logger.info("%d dead letters of queue %s archived.", len(taken.messages), queue)
        return len(taken.messages) == BATCH

    def _fetched(self, channel: Any, dead_queue: str) -> "_Taken":
        """Take letters as any broker hands them out; they are acknowledged once they are stored."""
        source = self._app.amqp.queues.new_missing(dead_queue)(channel)
        source.declare()
        taken: list[Any] = []
        while len(taken) < BATCH and (message := source.get(no_ack=False)) is not None:
            taken.append(message)

        def settle() -> None:
            for message in taken:
                message.ack()

        return _Taken(taken, settle)


@dataclass(frozen=True, slots=True)
class _Taken:
    """Letters to be stored, and what removes them from the broker after that."""

    messages: Sequence[Any]
    settle: Callable[[], None]


def _peeked(channel: Any, dead_queue: str) -> _Taken:
    """Look at letters where the broker keeps no books of deliveries: they stay until they are stored."""
    peeked = channel.peek(dead_queue, BATCH)
    return _Taken([one.message for one in peeked], lambda: channel.forget(peeked))


def store(messages: Sequence[Any], queue: str) -> None:
    """Write letters, as `kombu.Message` has them, into the table. Those it has already stay as they are."""
    rows = [_read(message, queue) for message in messages]
    known = set(_jobs([row["job_id"] for row in rows if row["job_id"]]))
    for row in rows:
        if row["job_id"] not in known:
            row["job_id"] = None
    try:
        _write(rows)
    except (DataError, ValueError, TypeError, OverflowError, RecursionError):
        # One of them holds what the table cannot; it must not keep the others out.
        for row in rows:
            _write_in_part(row)


def _write(rows: Sequence[dict[str, Any]]) -> None:
    model = apps.get_model("jobs", "DeadLetter")
    with transaction.atomic():
        model.objects.bulk_create([model(**row) for row in rows], ignore_conflicts=True)


def _write_in_part(row: dict[str, Any]) -> None:
    try:
        _write([row])
    except (DataError, ValueError, TypeError, OverflowError, RecursionError) as exc:
        error = f"{row['error'][:400]} (Kept without headers and arguments, which the table cannot hold: {exc!r:.200})"
        kept = {name: row[name] for name in ("id", "job_id", "queue", "reason", "attempt", "failed_at", "body")}
        _write([{**kept, "error": storable(error), "headers": {}, "properties": {}}])


def _read(message: Any, queue: str) -> dict[str, Any]:
    try:
        return _row(message, queue)
    except Exception as exc:
        logger.exception("A dead letter of queue %s can be kept in part only.", queue)
        return _bare_row(message, queue, exc)


def _bare_row(message: Any, queue: str, exc: Exception) -> dict[str, Any]:
    """Return the row of a letter of which nothing but the body can be read."""
    body = message.body
    return {
        "id": uuid.uuid4(),
        "job_id": None,
        "queue": queue,
        "reason": Reason.UNREADABLE.value,
        "error": storable(f"The letter cannot be read: {type(exc).__name__}"),
        "attempt": 0,
        "failed_at": timezone.now(),
        "body": body if isinstance(body, bytes) else repr(body).encode("utf-8", "replace"),
        "headers": {},
        "properties": {},
    }


def _jobs(ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    job = apps.get_model("jobs", "Job")
    return list(job.objects.filter(pk__in=ids).values_list("pk", flat=True))


def _row(message: Any, queue: str) -> dict[str, Any]:
    headers = message.headers if isinstance(message.headers, dict) else {}
    body = message.body.encode("utf-8", "surrogateescape") if isinstance(message.body, str) else bytes(message.body)
    arguments = codec.read_arguments(body, message.content_type or "")
    return {
        "id": _uuid(headers.get(codec.LETTER_ID)) or uuid.uuid4(),
        "job_id": _uuid(headers.get(codec.JOB_ID)),
        "task": _text(headers.get("task"), 200),
        "queue": _text(headers.get(codec.ORIGINAL_QUEUE) or queue, 255),
        "exchange": _text(headers.get(codec.ORIGINAL_EXCHANGE), 255),
        "routing_key": _text(headers.get(codec.ORIGINAL_ROUTING_KEY), 255),
        "reason": _text(headers.get(codec.REASON) or Reason.UNREADABLE, 20),
        "error": _text(headers.get(codec.EXCEPTION), 2000),
        "attempt": whole(headers.get(codec.FINAL_ATTEMPT)),
        "correlation_id": _text(headers.get(CORRELATION_HEADER), 64),
        "failed_at": _moment(headers.get(codec.FAILED_AT)),
        "body": body,
        "content_type": _text(message.content_type, 200),
        "content_encoding": _text(message.content_encoding, 100),
        "headers": _clean(codec.plain_json(headers)),
        "properties": _clean(codec.plain_json(message.properties or {})),
        "args": _clean(arguments.args),
        "kwargs": _clean(arguments.kwargs),
    }


def _uuid(value: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None


def _moment(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return timezone.now()
    if not is_possible(moment):
        return timezone.now()
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.get_default_timezone())


def _text(value: object, longest: int) -> str:
    return storable(str(portable(value) or ""))[:longest]


def _clean(value: Any) -> Any:
    """Return JSON without the signs that PostgreSQL's jsonb cannot hold; the body keeps them."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {storable(str(key)): _clean(item) for key, item in value.items()}
    return value
