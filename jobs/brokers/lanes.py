"""Priority for quorum queues, which had none before RabbitMQ 4.0: a second queue beside each for what is urgent.

The lane of `email` is `email.urgent`. It belongs to the queue: declared, consumed, counted, purged and deleted with it,
by this channel alone; nobody above it knows of two. What is urgent overtakes the backlog of the rest; among the
urgent, as among the rest, the order is that of arrival.
"""

import time
from dataclasses import dataclass
from typing import Any

from amqp.exceptions import NotFound
from amqp.protocol import queue_declare_ok_t
from kombu.transport import pyamqp

from jobs.core.queue_names import DEAD, URGENT

#: Messages above this priority, which is that of a job unless it says otherwise, are urgent.
ORDINARY = 5


def lane(queue: str) -> str:
    """Return the name of a queue's lane."""
    return queue + URGENT


def _together(declared: queue_declare_ok_t, in_lane: int) -> queue_declare_ok_t:
    return queue_declare_ok_t(declared.queue, declared.message_count + in_lane, declared.consumer_count)


class Connection(pyamqp.Connection):
    """Kombu's connection, which knows the queues declared through it that have a lane."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.with_lane: set[str] = set()


#: Stands in a consumer's tag behind the one that Kombu knows, before the number of times that it was begun anew.
RENEWED = ".renewed-"


def _known(tag: str) -> str:
    """Return the tag that Kombu knows a consumer by."""
    return tag.partition(RENEWED)[0]


@dataclass(slots=True)
class Consumed:
    """One consumer.

    Attributes:
        queue: what it consumes.
        options: with which.
        heard_at: when a message last came (monotonic).
        tag: by which RabbitMQ knows it.
        renewals: how often it was begun anew.
    """

    queue: str
    options: dict[str, Any]
    heard_at: float
    tag: str
    renewals: int = 0


class LaneChannel(pyamqp.Channel):
    """Kombu's channel, with a lane for each quorum queue."""

    def __init__(self, connection: Connection, *args: Any, **kwargs: Any) -> None:
        super().__init__(connection, *args, **kwargs)
        self._lane_tags: dict[str, str] = {}
        #: By tag, of queues with a lane, and of the lanes.
        self._consumed: dict[str, Consumed] = {}
        #: Consumers of queues with a lane that RabbitMQ has ended: somebody deleted the queue.
        self.ended_tags: set[str] = set()

    def _has_lane(self, queue: str) -> bool:
        return queue in self.connection.with_lane

    def queue_declare(self, queue: str = "", *args: Any, **kwargs: Any) -> queue_declare_ok_t:
        """Declare a queue and its lane, or ask for both. The count is that of both."""
        declared = super().queue_declare(queue, *args, **kwargs)
        if queue.endswith((URGENT, DEAD)):
            # Dead letters come in the order of dying.
            return declared
        if kwargs.get("passive"):
            return _together(declared, self._waiting_in_lane(queue))
        if (kwargs.get("arguments") or {}).get("x-queue-type") == "quorum":
            self.connection.with_lane.add(queue)
            return _together(declared, super().queue_declare(lane(queue), *args, **kwargs).message_count)
        return declared

    def _waiting_in_lane(self, queue: str) -> int:
        # On a channel of its own: RabbitMQ closes the one on which a queue is asked for that does not exist.
        with self.connection.channel() as channel:
            try:
                return int(channel.queue_declare(lane(queue), passive=True).message_count)
            except NotFound:
                return 0

    def queue_purge(self, queue: str = "", *args: Any, **kwargs: Any) -> Any:
        """Empty a queue and its lane."""
        count = super().queue_purge(queue, *args, **kwargs)
        if self._has_lane(queue):
            count += super().queue_purge(lane(queue), *args, **kwargs)
        return count

    def queue_delete(self, queue: str = "", *args: Any, **kwargs: Any) -> Any:
        """Delete a queue and its lane."""
        if self._has_lane(queue):
            super().queue_delete(lane(queue), *args, **kwargs)
        return super().queue_delete(queue, *args, **kwargs)

    def _basic_publish(self, msg: Any, exchange: str = "", routing_key: str = "", *args: Any, **kwargs: Any) -> Any:
        """Send a message, an urgent one into the lane."""
        if not exchange and self._has_lane(routing_key) and (msg.properties.get("priority") or 0) > ORDINARY:
            routing_key = lane(routing_key)
        return super()._basic_publish(msg, exchange, routing_key, *args, **kwargs)

    basic_publish = _basic_publish

    def basic_consume(self, queue: str = "", consumer_tag: str = "", *args: Any, **kwargs: Any) -> str:
        """Consume a queue and its lane."""
        if self._has_lane(queue):
            kwargs["on_cancel"] = self._on_ended
        tag: str = super().basic_consume(queue, consumer_tag, *args, **kwargs)
        if self._has_lane(queue):
            self._lane_tags[tag] = super().basic_consume(lane(queue), lane(tag), *args, **kwargs)
            for name, its in ((queue, tag), (lane(queue), self._lane_tags[tag])):
                self._consumed[its] = Consumed(name, kwargs, time.monotonic(), its)
        return tag

    def renew_silent(self, seconds: float) -> None:
        """Consume anew what no message came from for so long.

        RabbitMQ does not tell each consumer whose queue was deleted, least of all where the queue is declared again at
        once; that consumer would wait for ever. No answer is asked for, nor waited for: where the queue is not there
        at all, RabbitMQ closes the channel (NOT_FOUND), and the worker connects anew and declares its queues.

        The tag is another one each time: RabbitMQ 3.10 fails (INTERNAL_ERROR) where one is used again whose consumer
        was cancelled with messages that wait for their acknowledgement.
        """
        now = time.monotonic()
        for known, consumed in self._consumed.items():
            if now - consumed.heard_at >= seconds:
                super().basic_cancel(consumed.tag, nowait=True)
                consumed.heard_at, consumed.renewals = now, consumed.renewals + 1
                consumed.tag = f"{known}{RENEWED}{consumed.renewals}"
                super().basic_consume(consumed.queue, consumed.tag, **{**consumed.options, "nowait": True})

    def _on_ended(self, tag: str) -> None:
        # Without it the client raises an error, which Celery may overlook in the first moments of its loop.
        self.ended_tags.add(_known(tag).removesuffix(URGENT))

    def basic_cancel(self, consumer_tag: str, *args: Any, **kwargs: Any) -> Any:
        """Consume a queue and its lane no more."""
        beside = self._lane_tags.pop(consumer_tag, None)
        if beside is not None:
            super().basic_cancel(self._consumed.pop(beside).tag, *args, **kwargs)
            consumer_tag = self._consumed.pop(consumer_tag).tag
        return super().basic_cancel(consumer_tag, *args, **kwargs)

    def basic_get(self, queue: str = "", *args: Any, **kwargs: Any) -> Any:
        """Get one message of a queue, of its lane first."""
        found = super().basic_get(lane(queue), *args, **kwargs) if self._has_lane(queue) else None
        return found or super().basic_get(queue, *args, **kwargs)

    def message_to_python(self, raw_message: Any) -> Any:
        """Return Kombu's message. Whoever receives it need not know of the lane it came by."""
        delivery = raw_message.delivery_info
        if consumed := self._consumed.get(_known(delivery.get("consumer_tag", ""))):
            consumed.heard_at = time.monotonic()
        queue = str(delivery.get("routing_key", "")).removesuffix(URGENT)
        if not delivery.get("exchange") and self._has_lane(queue):
            delivery["routing_key"] = queue
        return super().message_to_python(raw_message)
