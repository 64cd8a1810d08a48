"""Kombu's transport for `ledger://`: the worker's event loop, or whoever drains, drives it."""

import logging
import random
import time
from collections.abc import Iterable
from typing import Any

import django
from django.apps import apps
from django.db import connection as django_connection
from kombu.transport import virtual

from jobs.brokers.eventloop import outside_event_loop
from jobs.brokers.ledger.channel import Channel
from jobs.brokers.ledger.fetcher import POLL_SECONDS, SQLITE_POLL_SECONDS, Fetcher
from jobs.brokers.ledger.messages import Broadcast
from jobs.core.backoff import pause
from jobs.ledger.notify import GONE, LEDGER, left_as_found, rows
from jobs.ledger.wakeup import Wakeup

logger = logging.getLogger(__name__)

#: The first pause before a lost database is tried again, and the longest, in seconds.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0


class Transport(virtual.Transport):
    """One connection to the ledger; being Kombu's virtual kind, it is its own connection object."""

    Channel = Channel

    driver_type = LEDGER
    driver_name = LEDGER
    #: There is nothing in the URL to parse: the database is Django's.
    can_parse_url = True
    connection_errors: tuple[Any, ...] = (*GONE, ConnectionError)
    implements = virtual.Transport.implements.extend(
        asynchronous=True, exchange_type=frozenset({"direct", "topic", "fanout"})
    )

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.fetcher = Fetcher()
        self._loop: Any = None
        self._timer: Any = None
        self._wakeup: Wakeup | None = None
        self._watched: int | None = None
        #: Tries in a row at which the database was out of reach.
        self.failures = 0
        self._retry_at = 0.0

    def driver_version(self) -> str:
        return f"{django_connection.vendor}"

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:
        return uri

    # Its life.

    @outside_event_loop
    def establish_connection(self) -> Any:
        """Make sure that the database can be reached."""
        if not (apps.ready or apps.loading):
            # `celery inspect`, `control` and `flower` come here first.
            django.setup()
        with left_as_found():
            rows(django_connection, "SELECT 1")
        return super().establish_connection()

    @outside_event_loop
    def close_connection(self, connection: Any) -> None:
        """Give back what was fetched and not begun, and let go of the database."""
        self._leave_event_loop()
        super().close_connection(connection)
        self.fetcher.close()

    def rest_if_idle(self) -> None:
        """Close the consumers' database connection when there are none; it is opened again when needed."""
        if not any(channel._consumers for channel in self.channels):  # noqa: SLF001 (Kombu's own)
            self.fetcher.close()

    # What consumers are handed.

    def deliver(self) -> int:
        """Hand over what waits for all consumers. Returns how much that was."""
        self.fetcher.flush()
        self.fetcher.renew(lambda: [tag for channel in self.channels for tag in channel.qos.tags()])
        self.listen()
        return sum(channel.deliver() for channel in list(self.channels))

    def listen(self) -> None:
        """Take in the broadcasts that the short-lived queues are bound to."""
        self.fetcher.listen(list(self.state.exchanges or ()), self._bound)

    def _bound(self, broadcast: Broadcast) -> Iterable[str]:
        channel = self.channels[0]
        return channel._lookup(broadcast.exchange, broadcast.routing_key)  # type: ignore[no-any-return]  # noqa: SLF001

    @outside_event_loop
    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> None:
        """Deliver what waits, or wait for it for at most `timeout` seconds. For consumers without an event loop."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self.fetcher.look_around()
            if self.deliver():
                return
            left = POLL_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.fetcher.wait(left)

    # The worker's event loop. A database that is away stops nothing there: what runs goes on, and slots get free.

    @property
    def in_event_loop(self) -> bool:
        """Whether a worker's event loop drives this connection."""
        return self._loop is not None

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Have the worker's event loop drive this connection.

        Everything happens in the callbacks of file numbers and timers. After these the loop goes round once more, as
        the prefork pool needs it: there it begins to write to its children. What is handed over in a tick of the
        loop would wait for the next event.
        """
        self._leave_event_loop()
        self._loop, self._wakeup = loop, Wakeup()
        self.fetcher.link.on_close = self._unwatch
        loop.add_reader(self._wakeup.fileno(), self._on_wakeup)
        seconds = SQLITE_POLL_SECONDS if django_connection.vendor == "sqlite" else POLL_SECONDS
        self._timer = loop.call_repeatedly(seconds, self._on_news)
        self._wakeup.set()

    def _leave_event_loop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and self._wakeup is not None:
            self._timer.cancel()
            self._unwatch_in(loop)
            loop.remove(self._wakeup.fileno())
            self._wakeup.close()
            self._wakeup = None

    def there_is_room(self) -> None:
        """Have the event loop fetch more, soon. May be called by any thread."""
        if self._wakeup is not None:
            self._wakeup.set()

    def _on_news(self) -> None:
        self._unless_away(self.fetcher.look_around)
        self._unless_away(self.deliver)

    def _on_wakeup(self) -> None:
        if self._wakeup is not None:
            self._wakeup.clear()
        self._unless_away(self.deliver)

    def _unless_away(self, act: Any) -> None:
        """Do something with the database, unless it was away a moment ago."""
        if time.monotonic() < self._retry_at:
            return
        try:
            act()
        except GONE as exc:
            self._lost(exc)
            return
        # Without a connection nothing was tried.
        if self.fetcher.link.is_open:
            self._watch()
            self._regained()

    def _lost(self, exc: Exception) -> None:
        self.failures += 1
        self._retry_at = time.monotonic() + pause(self.failures, FIRST_PAUSE, LONGEST_PAUSE, random.random)
        if self.failures == 2:  # A single failure is SQLite's lock or a connection that was cut: nothing to tell.
            logger.warning("The database is out of reach (%s); it is tried again for ever.", str(exc).strip())

    def _regained(self) -> None:
        if self.failures:
            if self.failures > 1:
                logger.warning("The database is back after %d tries.", self.failures)
            self.failures = 0
            # What was heard before is not to be relied on.
            self.fetcher.waiting = dict.fromkeys(self.fetcher.waiting, True)

    def _watch(self) -> None:
        fileno = self.fetcher.link.fileno()
        if fileno is not None and fileno != self._watched and self._loop is not None:
            self._watched = fileno
            self._loop.add_reader(fileno, self._on_news)

    def _unwatch(self, fileno: int) -> None:
        if fileno == self._watched and self._loop is not None:
            self._unwatch_in(self._loop)

    def _unwatch_in(self, loop: Any) -> None:
        watched, self._watched = self._watched, None
        if watched is not None:
            loop.remove(watched)
