"""RabbitMQ: quorum queues, with lanes for what is urgent, and confirms that many messages wait for together.

Kombu's transport waits for each confirm before it sends the next message. Here a batch is sent in one go, and then
its confirms are collected.
"""

import time
from typing import Any

from amqp.exceptions import MessageNacked
from kombu.transport import pyamqp

from jobs.transport import lanes
from jobs.transport.lanes import LaneChannel

#: How long a publisher waits for the broker's confirm, in seconds; then it does not know.
CONFIRM_SECONDS = 10.0

TRANSIENT = 1


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


class Connection(lanes.Connection):
    """Kombu's connection, with the channel above."""

    Channel = Channel


class Transport(pyamqp.Transport):
    """Kombu's transport for AMQP, with the connection above."""

    Connection = Connection
    implements = pyamqp.Transport.implements.extend(batch_publish=True)


class SSLTransport(Transport, pyamqp.SSLTransport):
    """The same, encrypted."""
