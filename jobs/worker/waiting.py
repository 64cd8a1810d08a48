"""Jobs that messages have brought and nobody has claimed: the most urgent first, then in the order of arrival.

Where queues have weights (`JOBS_QUEUE_WEIGHTS`), they take turns by these, and what is urgent overtakes its own queue.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from jobs.core.priority import HIGHEST
from jobs.core.turns import Turns


class HasPlace(Protocol):
    """What can wait."""

    @property
    def priority(self) -> int: ...
    @property
    def queue(self) -> str: ...


T = TypeVar("T", bound=HasPlace)


class _Lanes(list[deque[T]]):
    """What waits of each priority, the most urgent first."""

    def __init__(self) -> None:
        super().__init__(deque() for _ in range(HIGHEST + 1))

    @property
    def number(self) -> int:
        return sum(map(len, self))

    def take(self, number: int) -> list[T]:
        taken: list[T] = []
        for lane in self:
            while lane and len(taken) < number:
                taken.append(lane.popleft())
        return taken


class Waiting(Collection[T]):
    """A broker gives the most urgent messages first. A chunk is one message, and what is urgent may come after it.

    Args:
        weights: of queues; without any, all that waits is one queue.
    """

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        self._turns = Turns(0.0, weights=dict(weights)) if weights else None
        self._queues: dict[str, _Lanes[T]] = {}

    def extend(self, found: Iterable[T]) -> None:
        """Have these wait. Any thread may call it."""
        for one in found:
            queue = "" if self._turns is None else one.queue
            lanes = self._queues.get(queue) or self._queues.setdefault(queue, _Lanes())
            lanes[HIGHEST - min(max(one.priority, 0), HIGHEST)].append(one)

    def first(self) -> T:
        """Return what is to be claimed next. Raises IndexError where nothing waits."""
        waiting = {queue: lanes for queue, lanes in list(self._queues.items()) if lanes.number}
        if not waiting:
            raise IndexError("Nothing waits.")
        queue = "" if self._turns is None else self._turns.order(waiting)[0]
        return next(lane for lane in waiting[queue] if lane)[0]

    def take(self, number: int) -> list[T]:
        """Return the next ones, and wait for them no more."""
        if self._turns is None:
            return [one for lanes in self._queues.values() for one in lanes.take(number)]
        waiting = {queue: lanes.number for queue, lanes in list(self._queues.items())}
        shares = self._turns.share(waiting, number)
        for queue, share in shares.items():
            self._turns.count(queue, share)
        self._turns.forward(queue for queue, most in waiting.items() if most)
        return [one for queue, share in shares.items() for one in self._queues[queue].take(share)]

    def take_all(self) -> list[T]:
        """Return all, and wait for none."""
        return [one for lanes in list(self._queues.values()) for one in lanes.take(lanes.number)]

    def remove(self, gone: Collection[T]) -> None:
        """Wait for these no more."""
        for lane in self._lanes():
            for one in [one for one in list(lane) if one in gone]:
                lane.remove(one)

    def _lanes(self) -> Iterator[deque[T]]:
        return (lane for lanes in list(self._queues.values()) for lane in lanes)

    def __len__(self) -> int:
        return sum(map(len, self._lanes()))

    def __iter__(self) -> Iterator[T]:
        return (one for lane in self._lanes() for one in list(lane))

    def __contains__(self, one: object) -> bool:
        return any(one in lane for lane in self._lanes())
