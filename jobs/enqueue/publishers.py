"""What hands jobs to the broker in use: one, each to that of its queue, or none, where the row is the message."""

from collections.abc import Sequence
from typing import Protocol

from celery import Celery

from jobs.conf import brokers
from jobs.enqueue.brokers import by_broker, url_of, urls
from jobs.enqueue.message import Outgoing, RawMessage
from jobs.enqueue.publisher import Publisher
from jobs.enqueue.set_aside import SetAside
from jobs.ledger.notify import LEDGER, announce


class PublishesJobs(Protocol):
    """What dispatches jobs: to one broker, or each to that of its queue. `Publisher` says what its members do."""

    @property
    def holds_messages(self) -> bool: ...
    @property
    def set_aside(self) -> SetAside: ...
    @property
    def failures(self) -> int: ...
    def publish(self, messages: Sequence[Outgoing]) -> list[Outgoing]: ...
    def publish_raw(self, queue: str, messages: Sequence[RawMessage]) -> list[RawMessage]: ...
    def depth(self, queue: str) -> int: ...
    def close(self) -> None: ...


class LedgerPublisher(Publisher):
    """For `ledger://`, where a committed row is its own message: to publish is to wake the workers."""

    holds_messages = False

    def publish(self, messages: Sequence[Outgoing]) -> list[Outgoing]:
        """Wake the workers of the jobs' queues. Raises the database's errors."""
        announce({message.queue for message in messages})
        return []


class PublisherByQueue:
    """Publishes to the broker that carries a job's queue. One that is out of reach holds up no other's queues.

    These are set aside, as queues are that a broker refuses.
    """

    holds_messages = True

    def __init__(self, app: Celery) -> None:
        self._app = app
        self.set_aside = SetAside("publisher")
        self._publishers = {url: Publisher(app, url) for url in urls(app)}
        for publisher in self._publishers.values():
            publisher.set_aside = self.set_aside

    @property
    def failures(self) -> int:
        """How often in a row the broker could not be reached with which it went worst."""
        return max(publisher.failures for publisher in self._publishers.values())

    def publish(self, messages: Sequence[Outgoing]) -> list[Outgoing]:
        """Hand messages to their brokers. Returns those that were not taken: their queues are set aside for a while."""
        refused: list[Outgoing] = []
        for url, some in by_broker(self._app, messages).items():
            try:
                refused += self._publishers[url].publish(some)
            except Exception as exc:  # noqa: BLE001 (every transport has its own errors; each means "not confirmed")
                for queue in {message.queue for message in some}:
                    self.set_aside.add(queue, exc)
                refused += some
        return refused

    def publish_raw(self, queue: str, messages: Sequence[RawMessage]) -> list[RawMessage]:
        """Put messages into a queue as they are. Returns and raises as `Publisher.publish_raw` does."""
        return self._publishers[url_of(self._app, queue)].publish_raw(queue, messages)

    def depth(self, queue: str) -> int:
        """Return how many messages a queue holds. Raises as `Publisher.depth`; the queue is then set aside."""
        try:
            return self._publishers[url_of(self._app, queue)].depth(queue)
        except Exception as exc:
            self.set_aside.add(queue, exc)
            raise

    def close(self) -> None:
        """Drop the connections without waiting for the brokers."""
        for publisher in self._publishers.values():
            publisher.close()


def publisher_at(app: Celery, url: str | None = None) -> Publisher:
    """Return what hands jobs to one broker; the application's own where no URL is given."""
    driver = app.connection_for_write(url).transport.driver_type
    return LedgerPublisher(app, url) if driver == LEDGER else Publisher(app, url)


def publisher_for(app: Celery) -> PublishesJobs:
    """Return what hands jobs to the broker, or the brokers, in use."""
    return PublisherByQueue(app) if brokers() else publisher_at(app)
