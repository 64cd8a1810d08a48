"""Queues that the broker refuses: each is set aside with its error and tried again, and holds up no other.

A queue may exist with other arguments, be of another kind, lie under a key of Redis that is no list, or be forbidden
to us. On AMQP such a refusal ends the channel; so a queue is declared on a channel of its own.
"""

import logging
import random
import threading
import time
from dataclasses import dataclass
from typing import Any

from kombu.connection import Connection
from kombu.entity import Queue

from jobs.core.backoff import pause

logger = logging.getLogger(__name__)

#: The first pause before a refused queue is tried again, and the longest, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


class QueueRefused(Exception):
    """Raised when the broker refuses a queue."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the broker refuses a queue, how often in a row it did, and when it is asked again (monotonic)."""

    error: str
    failures: int
    retry_at: float


class SetAside:
    """The queues that the broker refused to one of its users, who is named in the log. Any thread may ask."""

    def __init__(self, user: str) -> None:
        self._user = user
        self._refusals: dict[str, Refusal] = {}
        self._lock = threading.Lock()

    def declare(self, connection: Connection, queue: Queue) -> bool:
        """Declare a queue, unless it was refused a moment ago. Returns whether it can be used.

        Raises:
            The transport's connection errors.
        """
        if self.holds(queue.name):
            return False
        try:
            with connection.channel() as channel:
                queue(channel).declare()
        except Exception as exc:
            if isinstance(exc, connection_errors(connection)):
                raise
            self.add(queue.name, exc)
            return False
        self.remove(queue.name)
        return True

    def holds(self, queue: str) -> bool:
        """Return whether a queue is set aside, and not to be tried yet."""
        with self._lock:
            refusal = self._refusals.get(queue)
        return refusal is not None and time.monotonic() < refusal.retry_at

    def held(self) -> list[str]:
        """Return the queues that are not to be tried yet."""
        return [queue for queue in self.errors() if self.holds(queue)]

    def add(self, queue: str, exc: BaseException) -> None:
        """Set a queue aside, longer each time."""
        error = told(exc)
        with self._lock:
            before = self._refusals.get(queue)
            failures = before.failures + 1 if before else 1
            until = time.monotonic() + pause(failures, FIRST_PAUSE, LONGEST_PAUSE, random.random)
            self._refusals[queue] = Refusal(error, failures, until)
        if before is None or before.error != error:
            logger.error("The broker refuses queue %s to the %s (%s); it is tried again.", queue, self._user, error)

    def remove(self, queue: str) -> None:
        """Note that the broker takes the queue."""
        with self._lock:
            refusal = self._refusals.pop(queue, None)
        if refusal is not None:
            logger.warning("The broker takes queue %s from the %s again.", queue, self._user)

    def errors(self) -> dict[str, str]:
        """Return the refused queues, each with its error."""
        with self._lock:
            return {queue: refusal.error for queue, refusal in sorted(self._refusals.items())}


def connection_errors(connection: Connection) -> tuple[type[BaseException], ...]:
    """Return what says that a connection is broken. Kombu counts KeyError among it, which says nothing of the kind."""
    return tuple(error for error in connection.connection_errors if error is not KeyError)


def told(exc: Any) -> str:
    """Return an error on one line."""
    return f"{type(exc).__name__}: {' '.join(str(exc).split())}"[:500]
