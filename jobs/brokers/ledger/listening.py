"""Short-lived queues: those of remote control, its replies and events. Each hears the broadcasts it is bound to.

Broadcasts are a log that listeners read on from where they began; nothing is stored for each of them.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf

from kombu.utils.json import loads

from jobs.brokers.ledger.messages import Broadcast, Envelope

#: A broadcast may become visible after one with a higher id: its transaction was open longer. So the log is read
#: again from this many seconds back, and what was heard is not heard twice.
LOOK_BACK_SECONDS = 1.0

#: What one queue keeps at most while nobody asks for it; then the oldest go, as with any broadcast not listened to.
MOST_KEPT = 10_000


@dataclass(slots=True)
class Kept:
    """What one queue has heard: the most urgent first, then the oldest. What has expired is not there any more."""

    _lanes: dict[int, deque[tuple[float, Envelope]]] = field(default_factory=dict)

    def add(self, envelope: Envelope, seconds_left: float | None) -> None:
        """Keep one more; of too many, the oldest of the least urgent goes."""
        expires_at = inf if seconds_left is None else time.monotonic() + seconds_left
        self._lanes.setdefault(_priority(envelope), deque()).append((expires_at, envelope))
        if len(self) > MOST_KEPT:
            self._pop(min(self._lanes))

    def next(self) -> Envelope | None:
        """Take the next one out, if there is one."""
        while self._lanes:
            expires_at, envelope = self._pop(max(self._lanes))
            if expires_at > time.monotonic():
                return envelope
        return None

    def _pop(self, priority: int) -> tuple[float, Envelope]:
        lane = self._lanes[priority]
        first = lane.popleft()
        if not lane:
            del self._lanes[priority]
        return first

    def clear(self) -> int:
        """Forget all. Returns how many there were."""
        count = len(self)
        self._lanes.clear()
        return count

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))


def _priority(envelope: Envelope) -> int:
    given = envelope["properties"].get("priority")
    return given if isinstance(given, int) else 0


class Listener:
    """The short-lived queues of one connection, and what they have heard."""

    def __init__(self) -> None:
        self._bound_after: dict[str, int] = {}
        self._kept: dict[str, Kept] = {}
        self._seen: dict[int, float] = {}
        self.after: int | None = None

    def __contains__(self, queue: str) -> bool:
        return queue in self._kept

    @property
    def bound(self) -> bool:
        """Whether any queue has been bound."""
        return bool(self._bound_after)

    @property
    def seen(self) -> list[int]:
        """What was heard lately, and lies after `after`."""
        return list(self._seen)

    def is_bound(self, queue: str) -> bool:
        """Whether a queue was bound before."""
        return queue in self._bound_after

    def declare(self, queue: str) -> None:
        """Let a queue be a short-lived one."""
        self._kept.setdefault(queue, Kept())

    def bind(self, queue: str, newest: int) -> None:
        """Begin to hear for a queue what comes after the broadcast `newest`.

        A queue that was deleted and is bound again goes on where it was: the replies to a question must not be
        missed that come between the question and its reader.
        """
        self._bound_after.setdefault(queue, newest)
        if self.after is None:
            self.after = newest

    def hear(self, broadcasts: Iterable[Broadcast], bound: Callable[[Broadcast], Iterable[str]]) -> None:
        """Give each broadcast to the queues that `bound` names for it."""
        now = time.monotonic()
        for broadcast in broadcasts:
            if broadcast.id in self._seen:
                continue
            self._seen[broadcast.id] = now
            for queue in bound(broadcast):
                if queue in self._kept and broadcast.id > self._bound_after.get(queue, 0):
                    self._kept[queue].add(loads(broadcast.envelope), broadcast.seconds_left)
        self._forget(now - LOOK_BACK_SECONDS)

    def _forget(self, before: float) -> None:
        for broadcast_id, seen_at in list(self._seen.items()):
            if seen_at >= before:
                return
            del self._seen[broadcast_id]
            self.after = max(self.after or 0, broadcast_id)

    def next(self, queue: str) -> Envelope | None:
        """Return the next broadcast that a queue has heard, if there is one."""
        kept = self._kept.get(queue)
        return kept.next() if kept else None

    def clear(self, queue: str) -> int:
        """Drop what a queue has heard; returns how much."""
        kept = self._kept.get(queue)
        return kept.clear() if kept else 0
