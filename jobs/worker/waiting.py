"""Jobs that messages have brought and nobody has claimed: the most urgent first, then in the order of arrival."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import Protocol, TypeVar

from jobs.core.priority import HIGHEST


class HasPriority(Protocol):
    """What can wait."""

    @property
    def priority(self) -> int: ...


T = TypeVar("T", bound=HasPriority)


class Waiting(Collection[T]):
    """A broker gives the most urgent messages first. A chunk is one message, and what is urgent may come after it."""

    def __init__(self) -> None:
        self._lanes: list[deque[T]] = [deque() for _ in range(HIGHEST + 1)]

    def extend(self, found: Iterable[T]) -> None:
        """Have these wait. Any thread may call it."""
        for one in found:
            self._lanes[HIGHEST - min(max(one.priority, 0), HIGHEST)].append(one)

    def first(self) -> T:
        """Return what is to be claimed next. Raises IndexError where nothing waits."""
        return next(lane for lane in self._lanes if lane)[0] if self else self._lanes[0][0]

    def take(self, number: int) -> list[T]:
        """Return the next ones, and wait for them no more."""
        taken: list[T] = []
        for lane in self._lanes:
            while lane and len(taken) < number:
                taken.append(lane.popleft())
        return taken

    def take_all(self) -> list[T]:
        """Return all, and wait for none."""
        return self.take(len(self))

    def remove(self, gone: Collection[T]) -> None:
        """Wait for these no more."""
        for lane in self._lanes:
            for one in [one for one in list(lane) if one in gone]:
                lane.remove(one)

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def __iter__(self) -> Iterator[T]:
        return (one for lane in self._lanes for one in list(lane))

    def __contains__(self, one: object) -> bool:
        return any(one in lane for lane in self._lanes)
