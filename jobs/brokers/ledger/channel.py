"""Kombu's channel over the ledger: publishing, consuming and settling."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from math import inf
from queue import Empty
from typing import Any

from amqp.protocol import queue_declare_ok_t
from kombu.transport import virtual
from kombu.utils.uuid import uuid

from jobs.brokers.envelopes import Message
from jobs.brokers.eventloop import outside_event_loop
from jobs.brokers.ledger import delivery, messages
from jobs.brokers.ledger.delivery import Tag
from jobs.brokers.ledger.fetcher import Fetcher
from jobs.brokers.ledger.messages import Envelope
from jobs.conf import queue_weights
from jobs.core.turns import Turns
from jobs.ledger.notify import GONE

#: Fetched at most in one go where the consumer has set no limit of its own.
MOST_AT_ONCE = 100

#: Messages fetched in advance for a caller who asks for one after the other, and how many seconds they are good for.
GET_AHEAD = 100
GET_AHEAD_SECONDS = 10.0

PRUNE_SECONDS = 10.0

_numbers = count(1)


class QoS(virtual.QoS):
    """What was delivered and is not settled yet. Settling is local: it never fails and always frees the slot."""

    def room(self) -> int:
        """Return how much may be fetched now: nothing until half of the limit is free, so that a fetch pays."""
        limit: int = self.prefetch_count
        if not limit:
            return MOST_AT_ONCE
        free = limit - (len(self._delivered) - len(self._dirty))
        return free if free * 2 >= limit else 0

    def ack(self, delivery_tag: Tag) -> None:
        super().ack(delivery_tag)
        self.channel.fetcher.settle(delivery_tag)
        if self.room() and self.channel.fetcher.has_work:
            self.channel.connection.there_is_room()

    def reject(self, delivery_tag: Tag, requeue: bool = False) -> None:
        if requeue:
            self._quick_ack(delivery_tag)
            self.channel.fetcher.release([delivery_tag])
        else:
            self.ack(delivery_tag)

    def tags(self) -> list[Tag]:
        """Return what was delivered and is not settled yet."""
        return [tag for tag in list(self._delivered) if tag not in self._dirty]

    def restore_unacked(self) -> None:
        """Give back what was delivered and not settled."""
        tags = self.tags()
        self._delivered.clear()
        self._dirty.clear()
        self.channel.fetcher.release(tags)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """Give back what was delivered and not settled, when the channel closes. `stderr` is Kombu's."""
        self._on_collect.cancel()
        self.restore_unacked()


class Channel(virtual.Channel):
    """One channel of a connection to the ledger."""

    QoS = QoS
    Message = Message
    supports_fanout = True

    def __init__(self, connection: Any, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self.fetcher: Fetcher = connection.fetcher
        #: Fetched and not yet handed to a consumer.
        self._fetched: deque[tuple[str, Envelope]] = deque()
        #: Fetched ahead, each with the time until which it is good, by the monotonic clock.
        self._got: dict[str, deque[tuple[float, Envelope]]] = {}
        weights = queue_weights()
        #: In which order queues are asked; None where it is one after the other.
        self._turns = Turns(0.0, weights=dict(weights)) if weights else None
        self._without_ack: set[str] = set()
        self._jobs_first = True
        self._prune_at = 0.0

    # Queues and exchanges. A queue that ends with its owner is a short-lived one; it hears broadcasts.

    @outside_event_loop
    def queue_declare(self, queue: str | None = None, passive: bool = False, **kwargs: Any) -> queue_declare_ok_t:
        queue = queue or f"amq.gen-{uuid()}"
        if kwargs.get("exclusive") or kwargs.get("auto_delete"):
            self.fetcher.listener.declare(queue)
        return queue_declare_ok_t(queue, self._size(queue) if passive else 0, 0)

    @outside_event_loop
    def queue_bind(
        self, queue: str, exchange: str | None = None, routing_key: str = "", arguments: Any = None, **kwargs: Any
    ) -> None:
        listener = self.fetcher.listener
        if queue in listener and not listener.is_bound(queue):
            listener.bind(queue, self.fetcher.newest())
        super().queue_bind(queue, exchange, routing_key, arguments, **kwargs)

    def _queue_bind(self, exchange: str, *meta: Any) -> None:
        """Kombu's hook for transports that keep bindings; ours are in the memory of who listens."""

    def _delete(self, queue: str, exchange: str, *meta: Any, **kwargs: Any) -> None:
        """Forget a binding, as Kombu does not, and what is in the queue."""
        table = self.get_table(exchange)
        table[:] = [binding for binding in table if binding != meta]
        self._purge(queue)

    def _size(self, queue: str) -> int:
        return messages.size(queue)

    @outside_event_loop
    def _purge(self, queue: str) -> int:
        if queue in self.fetcher.listener:
            return self.fetcher.listener.clear(queue)
        return messages.purge(queue)

    # Publishing.

    @outside_event_loop
    def basic_publish(self, message: Envelope, exchange: str, routing_key: str, **kwargs: Any) -> None:
        """Put a message into the queues bound to the exchange, or broadcast it where only listeners can be."""
        self._inplace_augment_message(message, exchange, routing_key)
        message["properties"]["delivery_tag"] = None
        queues = [queue for queue in self._lookup(exchange, routing_key) if queue not in self.fetcher.listener]
        for queue in queues:
            messages.put(queue, message, self._get_message_priority(message))
        if not queues or self.typeof(exchange).type != "direct":
            self._broadcast(exchange, routing_key, message)

    def _broadcast(self, exchange: str, routing_key: str, message: Envelope) -> None:
        try:
            messages.broadcast(exchange, routing_key, message)
            if time.monotonic() >= self._prune_at:
                self._prune_at = time.monotonic() + PRUNE_SECONDS
                messages.prune()
        except GONE:
            # Inside a worker nobody may wait for an answer to be sent, nor take the connection for broken.
            if not self.connection.in_event_loop:
                raise

    # Consuming.

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> None:
        super().basic_consume(queue, no_ack, *args, **kwargs)
        if no_ack:
            self._without_ack.add(queue)
        self.fetcher.waiting = dict.fromkeys(self.fetcher.waiting, True)
        self.connection.there_is_room()

    @outside_event_loop
    def basic_cancel(self, consumer_tag: str) -> None:
        self._without_ack.discard(self._tag_to_queue.get(consumer_tag, ""))
        super().basic_cancel(consumer_tag)
        if not self._consumers:
            # The worker stops, or this channel closes: what has not begun need not wait for what has.
            self._release_unseen()
            self.fetcher.release([tag for tag in self.qos.tags() if tag.kind == "j"])
        self.connection.rest_if_idle()

    def deliver(self) -> int:
        """Hand over what waits for this channel's consumers. Returns how much that was."""
        if not self._fetched:
            self._fetch()
        handed = 0
        while self._fetched:
            queue, envelope = self._fetched.popleft()
            if queue in self.connection._callbacks:  # noqa: SLF001 (Kombu's own)
                handed += 1
                self.connection._deliver(envelope, queue)  # noqa: SLF001
                self._settle_unacked(queue, envelope)
            else:
                self.fetcher.release([envelope["properties"]["delivery_tag"]])
        return handed

    def _settle_unacked(self, queue: str, envelope: Envelope) -> None:
        if queue in self._without_ack:
            self.fetcher.settle(envelope["properties"]["delivery_tag"])

    def _fetch(self) -> None:
        lasting = []
        for queue in self._active_queues:
            if queue in self.fetcher.listener:
                while (heard := self.fetcher.listener.next(queue)) is not None:
                    self._fetched.append((queue, delivery.of_broadcast(heard, next(_numbers))))
            else:
                lasting.append(queue)
        room = self.qos.room() if lasting and (self.fetcher.waiting["j"] or self.fetcher.waiting["m"]) else 0
        if room:
            self._fetch_lasting(lasting, room)

    def _fetch_lasting(self, queues: list[str], room: int) -> None:
        """Fetch from each queue in turn, jobs and other messages alternately first: none waits for ever for another."""
        if self._turns is None:
            self._active_queues.append(self._active_queues.pop(0))
        else:
            queues = self._turns.order(queues)
        self._jobs_first = not self._jobs_first
        kinds = [self._fetch_jobs, self._fetch_messages]
        for fetch in kinds if self._jobs_first else reversed(kinds):
            if room > 0:
                room -= fetch(queues, room)

    def _fetch_jobs(self, queues: Sequence[str], limit: int) -> int:
        found = self.fetcher.jobs(queues, limit)
        self._fetched.extend((job.queue, delivery.of_job(job, next(_numbers))) for job in found)
        self._count(job.queue for job in found)
        return len(found)

    def _fetch_messages(self, queues: Sequence[str], limit: int) -> int:
        found = self.fetcher.messages(queues, limit)
        self._fetched.extend((taken.queue, delivery.of_message(taken, next(_numbers))) for taken in found)
        self._count(taken.queue for taken in found)
        return len(found)

    def _count(self, queues: Iterable[str]) -> None:
        if self._turns is not None:
            for queue, number in Counter(queues).items():
                self._turns.give(queue, number)

    def _release_unseen(self) -> None:
        ahead = [envelope for kept in self._got.values() for _, envelope in kept]
        unseen = [envelope["properties"]["delivery_tag"] for _, envelope in self._fetched]
        self._fetched.clear()
        self._got.clear()
        self.fetcher.release(unseen + [envelope["properties"]["delivery_tag"] for envelope in ahead])

    # Getting one by one.

    @outside_event_loop
    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        message = super().basic_get(queue, no_ack, **kwargs)
        if no_ack and message is not None:
            self.fetcher.settle(message.delivery_tag)
        return message

    def _get(self, queue: str, timeout: float | None = None) -> Envelope:
        """Return one message or job of a queue. Kombu's hook."""
        if queue in self.fetcher.listener:
            self.connection.listen()
            heard = self.fetcher.listener.next(queue)
            if heard is None:
                raise Empty
            return delivery.of_broadcast(heard, next(_numbers))
        kept = self._got.setdefault(queue, deque())
        while kept and time.monotonic() > kept[0][0]:
            kept.popleft()
        if not kept:
            kept.extend(self._get_ahead(queue))
        if not kept:
            raise Empty
        return kept.popleft()[1]

    def _get_ahead(self, queue: str) -> Iterable[tuple[float, Envelope]]:
        self.fetcher.flush()
        self.fetcher.waiting |= {"j": True, "m": True}
        good_until = time.monotonic() + GET_AHEAD_SECONDS
        found = [
            (min(good_until, time.monotonic() + left), delivery.of_message(taken, next(_numbers)))
            for taken in self.fetcher.messages([queue], GET_AHEAD)
            for left in [inf if taken.seconds_left is None else taken.seconds_left]
        ]
        return found or [(good_until, delivery.of_job(job, next(_numbers))) for job in self.fetcher.jobs([queue], 1)]

    # The end.

    @outside_event_loop
    def close(self) -> None:
        """Give back what was fetched and not begun, and close."""
        if self.closed:
            return
        transport = self.connection
        self._release_unseen()
        super().close()
        transport.rest_if_idle()

    def drain_events(self, timeout: float | None = None, callback: Callable[..., Any] | None = None) -> None:
        """Refuse: the connection delivers for all its channels."""
        raise NotImplementedError("Channels of ledger:// are drained by their connection.")
