"""One connection to a broker, made when it is needed and anew after any error."""

from collections.abc import Callable
from typing import Any, TypeVar

from celery import Celery
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.exceptions import OperationalError
from kombu.messaging import Producer

from jobs.enqueue.set_aside import connection_errors

T = TypeVar("T")


class BrokerConnection:
    """A connection to one broker. Not thread-safe.

    Args:
        app: Celery's.
        url: of the broker; the application's own where None.

    Attributes:
        broken: the errors that say that the connection is broken, and nothing of a queue.
        failures: how often in a row the broker could not be reached.
    """

    def __init__(self, app: Celery, url: str | None = None) -> None:
        self._app = app
        self._url = url
        self._connection: Connection | None = None
        self._producer: Producer | None = None
        self._declared: set[str] = set()
        self.broken: tuple[type[BaseException], ...] = (OSError, OperationalError)
        self.failures = 0

    def close(self) -> None:
        """Drop the connection without waiting for the broker."""
        connection, self._connection, self._producer = self._connection, None, None
        self._declared.clear()
        if connection is not None:
            _quietly(connection.collect)

    def connected(self, act: Callable[[Producer], T]) -> T:
        """Do something with the broker: a second time on a new connection where the one at hand turned out broken.

        Raises:
            Exception: what `act` raises on a connection just made, or what connecting does.
        """
        had_connection = self._producer is not None
        try:
            done = act(self._open())
        except Exception as exc:
            self.close()
            if not had_connection:
                self.failures += isinstance(exc, self.broken)
                raise
            return self.connected(act)
        except BaseException:
            self.close()
            raise
        self.failures = 0
        return done

    def _open(self) -> Producer:
        if self._producer is None:
            self._connection = self._app.connection_for_write(self._url)
            self._connection.ensure_connection(max_retries=0, timeout=self._app.conf.broker_connection_timeout)
            self.broken = (OperationalError, *connection_errors(self._connection))
            self._producer = Producer(self.channel(), auto_declare=False)
        return self._producer

    @property
    def driver(self) -> str:
        """The `driver_type` of its transport; nothing before it is connected."""
        return self._connection.transport.driver_type if self._connection else ""

    def channel(self) -> Any:
        """Return the channel, once it is connected."""
        assert self._connection is not None  # noqa: S101 (for the type checker: `_open` comes first)
        return self._connection.default_channel

    def declare(self, name: str) -> None:
        """Make sure that a queue exists: a message to one that does not is dropped by RabbitMQ."""
        if name not in self._declared:
            queue: Queue = self._app.amqp.queues.get(name) or self._app.amqp.queues.new_missing(name)
            queue(self.channel()).declare()
            self._declared.add(name)


def _quietly(close: Callable[[], object]) -> None:
    try:
        close()
    except Exception:  # noqa: BLE001 (the connection is broken; that is why it is dropped)
        pass
