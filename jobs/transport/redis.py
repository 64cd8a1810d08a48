"""Kombu's Redis transport, made to survive what it cannot read.

Kombu's own ends the worker over an envelope that is no JSON, lacks its properties, or whose body is no base64,
and the message is gone. Here such an item becomes a message with the raw bytes as its body, so that the consumer
can park it like any other that it cannot read.
"""

import base64
import json
import uuid
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis as kombu_redis
from kombu.transport.virtual import Message as VirtualMessage
from kombu.utils.encoding import bytes_to_str

#: The content type of what could not be read; nothing decodes it.
UNREADABLE = "application/x-unreadable"


def use_for_redis_urls() -> None:
    """Have redis:// and rediss:// URLs, and Valkey's names for the same, use this transport."""
    for scheme in ("redis", "rediss", "valkey", "valkeys"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"


def readable(item: bytes | str, queue: str) -> dict[str, Any]:
    """Return the envelope in a list item of Redis; one around the item itself where it holds none."""
    try:
        envelope = json.loads(bytes_to_str(item))
        properties = envelope["properties"]
        if "delivery_tag" in properties and isinstance(properties["delivery_info"], dict):
            properties["delivery_info"].setdefault("routing_key", queue)
            if isinstance(envelope.get("headers") or {}, dict):
                return dict(envelope)
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    return around(item, queue)


def around(item: bytes | str, queue: str) -> dict[str, Any]:
    """Return an envelope with the item as its body."""
    raw = item if isinstance(item, bytes) else item.encode("utf-8", "surrogateescape")
    return {
        "body": base64.b64encode(raw).decode(),
        "content-type": UNREADABLE,
        "content-encoding": "binary",
        "headers": {},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    }


class Message(VirtualMessage):
    """A message whose body may turn out to be undecodable."""

    def __init__(self, payload: dict[str, Any], channel: Any = None, **kwargs: Any) -> None:
        try:
            super().__init__(payload, channel=channel, **kwargs)
        except (ValueError, TypeError, AttributeError, LookupError):
            queue = payload["properties"]["delivery_info"]["routing_key"]
            super().__init__(around(json.dumps(payload, default=str), queue), channel=channel, **kwargs)


class Channel(kombu_redis.Channel):
    """Kombu's channel, reading list items with care."""

    Message = Message

    def _brpop_read(self, **options: Any) -> bool:
        """Deliver the answer to the BRPOP under way. As Kombu's, but for an item that is no envelope."""
        try:
            try:
                answer = self.client.parse_response(self.client.connection, "BRPOP", **options)
            except self.connection_errors:
                self.client.connection.disconnect()
                raise
            if not answer:
                raise Empty
            key, item = answer
            queue = bytes_to_str(key).rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            self.connection._deliver(readable(item, queue), queue)  # noqa: SLF001 (as Kombu's own channels do)
            return True
        finally:
            self._in_poll: Any = None
            self._flush_brpop_reauth()

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        """Return one message of a queue, the most urgent first. As Kombu's, but for an item that is no envelope."""
        with self.conn_or_acquire() as client:
            for step in self.priority_steps:
                if item := client.rpop(self._q_for_pri(queue, step)):
                    return readable(item, queue)
        raise Empty


class Transport(kombu_redis.Transport):
    """Kombu's transport for Redis and Valkey, with the channel above."""

    Channel = Channel
