"""RabbitMQ: quorum queues, with lanes for what is urgent, and confirms that many messages wait for together.

Kombu's transport waits for each confirm before it sends the next message. Here a batch is sent in one go, and then
its confirms are collected.

Whoever may publish may also send properties that Python's client cannot read: tables nested thousands deep, text that
is no UTF-8, times after the year 9999. Such a message must not end the connection of each worker that it comes to, for
ever: it is received without its properties, and goes where messages go that name no task.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from amqp import Message
from amqp.exceptions import MessageNacked
from amqp.method_framing import frame_handler
from kombu.transport import pyamqp

from jobs.brokers import lanes
from jobs.brokers.lanes import LaneChannel

#: How long a publisher waits for the broker's confirm, in seconds; then it does not know.
CONFIRM_SECONDS = 10.0

TRANSIENT = 1

logger = logging.getLogger(__name__)

#: A frame's type that says that it holds a message's properties (AMQP 0-9-1, section 4.2.3), how many bytes stand
#: before them there, and what stands there of a message without any (section 4.2.6.1).
_CONTENT_HEADER = 2
_BEFORE_PROPERTIES = 12
_NO_PROPERTIES = b"\x00\x00"


class Confirmed:
    """A batch of messages: sent at once, confirmed together. Kombu's protocol of a publish batch."""

    def __init__(self, channel: "Channel", max_size: int) -> None:
        self.channel = channel
        self.max_size = max_size

    def publish(self, message: Any, **kwargs: Any) -> None:
        """Send a message; after `max_size` of them, wait for their confirms."""
        kwargs.pop("confirm_timeout", None)
        self.channel.send_unconfirmed(message, **kwargs)
        if len(self.channel.unconfirmed) >= self.max_size:
            self.flush()

    def flush(self) -> None:
        """Wait until the broker has confirmed everything sent. Raises where it refuses, or does not in time."""
        self.channel.wait_for_confirms(CONFIRM_SECONDS)

    def discard(self) -> None:
        """Stop waiting for confirms: what was sent may or may not be there."""
        self.channel.unconfirmed.clear()

    def close(self) -> None:
        """Nothing is held."""


class Channel(LaneChannel):
    """Kombu's channel, which counts what it sends so as to know what a confirm is for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unconfirmed: set[int] = set()
        self._sent = 0
        self._refused = 0
        self._confirm_selected = False
        self.events["basic_ack"].add(self._on_confirmed)
        self.events["basic_nack"].add(self._on_refused)

    def create_publish_batch(self, max_size: int) -> Confirmed:
        """Return a batch. Kombu's hook."""
        return Confirmed(self, max_size)

    @property
    def supports_batch_publish(self) -> bool:
        """Whether there are confirms to wait for together."""
        return bool(self.connection and self.connection.confirm_publish)

    def basic_publish_confirm(self, message: Any, *args: Any, **kwargs: Any) -> None:
        """Send a message and wait for its confirm, unless it is one that may get lost: an event, remote control."""
        seconds = kwargs.pop("confirm_timeout", None) or CONFIRM_SECONDS
        if message.properties.get("delivery_mode") == TRANSIENT:
            self._sent += 1
            self._basic_publish(message, *args, **kwargs)
            return
        self.send_unconfirmed(message, *args, **kwargs)
        self.wait_for_confirms(seconds)

    def send_unconfirmed(self, message: Any, *args: Any, **kwargs: Any) -> None:
        """Send a message whose confirm is waited for later."""
        if not self._confirm_selected:
            self.confirm_select()
            self._confirm_selected = True
            self._sent = 0
            self.unconfirmed.clear()
        self._sent += 1
        self.unconfirmed.add(self._sent)
        if not kwargs.get("exchange"):
            # A queue that was deleted meanwhile: RabbitMQ would confirm the message and drop it.
            kwargs["mandatory"] = True
        self._basic_publish(message, *args, **kwargs)

    def wait_for_confirms(self, seconds: float) -> None:
        """Wait until everything sent is confirmed. Raises MessageNacked or socket.timeout where it is not."""
        deadline = time.monotonic() + seconds
        while self.unconfirmed:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"RabbitMQ did not confirm {len(self.unconfirmed)} messages in {seconds:g} s.")
            self.connection.drain_events(timeout=left)
        refused, self._refused = self._refused, 0
        if refused:
            raise MessageNacked(f"RabbitMQ refused {refused} messages.")

    def _on_confirmed(self, delivery_tag: int, multiple: bool) -> None:
        if multiple:
            self.unconfirmed = {sent for sent in self.unconfirmed if sent > delivery_tag}
        else:
            self.unconfirmed.discard(delivery_tag)

    def _on_refused(self, delivery_tag: int, multiple: bool) -> None:
        waiting = len(self.unconfirmed)
        self._on_confirmed(delivery_tag, multiple)
        self._refused += waiting - len(self.unconfirmed)


def _reading(connection: Any, callback: Callable[..., Any]) -> Callable[[tuple[int, int, Any]], bool]:
    """Return what reads frames: the client's own reader, which is spared properties that it cannot read."""
    read: Callable[[tuple[int, int, Any]], bool] = frame_handler(connection, callback)

    def on_frame(frame: tuple[int, int, Any]) -> bool:
        kind, channel, content = frame
        try:
            return read(frame)
        except Exception as exc:
            # A message without a body is handled from in here: what is wrong there is none of this.
            if kind != _CONTENT_HEADER or _is_readable(content):
                raise
            logger.warning("RabbitMQ delivers a message whose properties cannot be read (%r); it has none here.", exc)
        return read((kind, channel, bytes(content[:_BEFORE_PROPERTIES]) + _NO_PROPERTIES))

    return on_frame


def _is_readable(content: Any) -> bool:
    try:
        Message().inbound_header(content)
    except Exception:  # noqa: BLE001 (recursion, decoding, times and lengths out of bounds: each has an error of its own)
        return False
    return True


class Connection(lanes.Connection):
    """Kombu's connection, with the channel and the reader above."""

    Channel = Channel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.frame_handler_cls = _reading


class Transport(pyamqp.Transport):
    """Kombu's transport for AMQP, with the connection above."""

    Connection = Connection
    implements = pyamqp.Transport.implements.extend(batch_publish=True)


class SSLTransport(Transport, pyamqp.SSLTransport):
    """The same, encrypted."""
