"""Which webhooks are told of which changes: looked up once a second at most, and so free for almost every record."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.core.states import State
from jobs.ledger.webhooks import subscribed
from jobs.tasks.registry import names_of

#: What webhooks can be told of: that a job has ended, or is tried again after a failed attempt.
STATES = (State.SUCCEEDED, State.DEAD, State.CANCELLED, State.RETRYING)

#: A webhook that is added, changed or switched takes effect everywhere within so many seconds.
FRESH_SECONDS = 1.0

#: The task that tells webhooks. Of its own jobs nobody is told: each would bring the next.
DELIVERY = "jobs.webhook"

#: Tasks of the engine's own begin so: of these a webhook is told where it names one without `*`.
_OWN = "jobs."


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one webhook wants to be told."""

    id: int
    tasks: tuple[str, ...]
    states: frozenset[str]
    queue: str

    def wants(self, task: str, queue: str, state: str) -> bool:
        """Return whether it is to be told of a job of this task and queue that has come into this state.

        A task that was renamed has all its names, whichever of them the webhook, or the job, goes by.
        """
        if state not in self.states or (self.queue and self.queue != queue) or task == DELIVERY:
            return False
        if task.startswith(_OWN):
            return task in self.tasks
        return not self.tasks or any(_matches(pattern, name) for name in names_of(task) for pattern in self.tasks)


def _matches(pattern: str, name: str) -> bool:
    """Return whether a name is of a pattern. No pattern takes long, as one of many stars would as an expression."""
    first, *parts = pattern.split("*")
    if not parts:
        return name == first
    *between, last = parts
    if not name.startswith(first) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in between:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end


class _Snapshot:
    """The webhooks that are enabled, as this process last saw them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: tuple[Subscription, ...] = ()
        self._seen_at = float("-inf")

    def current(self) -> Sequence[Subscription]:
        """Return them, looked up anew where they were last a second ago. Raises DatabaseError where that fails."""
        if time.monotonic() - self._seen_at < FRESH_SECONDS:
            return self._seen
        found = tuple(Subscription(one.id, tuple(one.tasks), frozenset(one.states), one.queue) for one in subscribed())
        with self._lock:
            self._seen, self._seen_at = found, time.monotonic()
        return found

    def forget(self) -> None:
        """Look them up the next time: they were changed here."""
        with self._lock:
            self._seen_at = float("-inf")


snapshot = _Snapshot()
