"""Connections to the brokers, for publishing jobs: the same meaning of order and priority on every one."""

import logging
import struct
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TypeVar

from amqp.exceptions import FrameSyntaxError, NotFound
from celery import Celery
from django.db import DataError
from kombu.exceptions import ChannelError, EncodeError
from kombu.messaging import Producer

from jobs.core.priority import on_the_wire
from jobs.enqueue.broker_connection import BrokerConnection
from jobs.enqueue.message import CONTENT_TYPE, Outgoing, RawMessage, chunk_message
from jobs.enqueue.set_aside import QueueRefused, SetAside, told

logger = logging.getLogger(__name__)

#: What a transport raises for a message that it cannot write down: this says nothing of its queue, or of the broker.
UNWRITABLE = (
    FrameSyntaxError,
    struct.error,
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
    EncodeError,
    DataError,
)

#: The properties of a message that survive in its dead letter.
_PROPERTIES = frozenset({"correlation_id", "reply_to", "priority", "message_id", "timestamp", "type", "app_id"})

T = TypeVar("T")

#: Messages put into one round trip where the broker can take many.
BATCH = 500


class Unwritable(Exception):
    """Raised for messages of which one cannot be written down for the broker; caused by what its client says."""


class Publisher:
    """Publishes jobs over one connection of its own; made anew after any error. Not thread-safe.

    Args:
        app: Celery's.
        url: of the broker; the application's own where None.
    """

    #: Whether the broker holds what was published, so that the ledger notes it as dispatched.
    holds_messages = True

    def __init__(self, app: Celery, url: str | None = None) -> None:
        self._broker = BrokerConnection(app, url)
        #: The queues that the broker refuses.
        self.set_aside = SetAside("publisher")

    @property
    def failures(self) -> int:
        """How often in a row the broker could not be reached."""
        return self._broker.failures

    def publish(self, messages: Sequence[Outgoing]) -> list[Outgoing]:
        """Hand messages to the broker, those of a queue together where it can take many at once.

        Returns:
            Those whose queue the broker refuses. It is set aside for a while; the others' messages were sent.

        Raises:
            OSError, kombu.exceptions.OperationalError, …: the broker is out of reach or did not confirm. Which of
            the messages it has is then unknown; the ledger makes sending them again harmless.
        """
        by_queue: dict[str, list[Outgoing]] = {}
        for message in messages:
            by_queue.setdefault(message.queue, []).append(message)
        refused: list[Outgoing] = []
        for queue, some in by_queue.items():
            try:
                self._publish_to(queue, some)
            except QueueRefused:
                refused += some
        return refused

    def _publish_to(self, queue: str, messages: Sequence[Outgoing]) -> None:
        if odd := self._put(queue, messages, self._send):
            # Whoever claims a job has from the ledger whatever its message could not carry.
            bare = [chunk_message(queue, message.priority, message.job_ids) for message in odd]
            self._put(queue, bare, self._send)

    def publish_raw(self, queue: str, messages: Sequence[RawMessage]) -> list[RawMessage]:
        """Put messages into a queue as they are, together where it can.

        Returns:
            Those that this broker's protocol cannot carry.

        Raises:
            QueueRefused: the broker refuses the queue.
            OSError, …: as `publish`.
        """

        def send(producer: Producer, some: Sequence[RawMessage]) -> None:
            for message in some:
                producer.publish(
                    message.body,
                    routing_key=queue,
                    exchange="",
                    headers=message.headers,
                    content_type=message.content_type,
                    content_encoding=message.content_encoding,
                    retry=False,
                    **{name: value for name, value in message.properties.items() if name in _PROPERTIES},
                )

        return self._put(queue, messages, send)

    def _put(self, queue: str, messages: Sequence[T], send: Callable[[Producer, Sequence[T]], None]) -> list[T]:
        """Send to a queue that exists. Returns the messages that cannot be written down for this broker.

        Raises:
            QueueRefused: the broker does not take the queue, which is set aside.
        """
        if self.set_aside.holds(queue):
            raise QueueRefused(self.set_aside.errors().get(queue, "The broker refuses it."))
        try:
            self._broker.connected(lambda producer: self._put_now(producer, queue, messages, send))
        except Unwritable as exc:
            logger.error("A message to queue %s cannot be sent as it is: %s", queue, told(exc.__cause__))
            if len(messages) == 1:
                return [*messages]
            return [odd for message in messages for odd in self._put(queue, [message], send)]
        except Exception as exc:
            if isinstance(exc, self._broker.broken):
                raise
            self.set_aside.add(queue, exc)
            raise QueueRefused(told(exc)) from exc
        self.set_aside.remove(queue)
        return []

    def _put_now(
        self, producer: Producer, queue: str, messages: Sequence[T], send: Callable[[Producer, Sequence[T]], None]
    ) -> None:
        self._broker.declare(queue)
        with producer.batch(BATCH) if len(messages) > 1 and producer.supports_batch_publish else nullcontext():
            try:
                send(producer, messages)
            except UNWRITABLE as exc:
                if isinstance(exc, OSError):
                    raise
                raise Unwritable from exc

    def depth(self, queue: str) -> int:
        """Return how many messages the broker holds for `queue`. Raises as `publish` does."""

        def ask(_: Producer) -> int:
            try:
                return int(self._broker.channel().queue_declare(queue=queue, passive=True).message_count)
            except (ChannelError, NotFound):
                # Redis has no empty queues, and a wiped broker none at all: it is declared with the next message.
                self._broker.close()
                return 0
            except Exception as exc:
                if isinstance(exc, self._broker.broken):
                    raise
                # A key of Redis that is no list: the next message to it is refused, and says so.
                return 0

        return self._broker.connected(ask)

    def close(self) -> None:
        """Drop the connection without waiting for the broker."""
        self._broker.close()

    def _send(self, producer: Producer, messages: Sequence[Outgoing]) -> None:
        driver = self._broker.driver
        for message in messages:
            producer.publish(
                message.body,
                routing_key=message.queue,
                exchange="",
                headers=message.headers,
                content_type=CONTENT_TYPE,
                content_encoding=message.content_encoding,
                priority=on_the_wire(message.priority, driver),
                delivery_mode=2,
                retry=False,
                **message.properties_for(driver),
            )
