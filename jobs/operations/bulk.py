"""What all changes of many have in common: they are recorded first, end in time, and say what they could not change."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db.models import QuerySet

from jobs.models import OperatorAction

#: An action of many ends after so many seconds, and says how many are left: a request must be answered.
MOST_SECONDS = 20.0

#: Rows of which it is told why they could not be changed.
MOST_REFUSED = 100


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that an action could not change, and why."""

    id: uuid.UUID
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    """What an action did, or would do.

    Attributes:
        matched: how many it concerned when it began.
        changed: how many it changed; 0 in a dry run.
        refused: those that cannot be changed, the first `MOST_REFUSED` of them.
        left: how many it did not come to in its time: the same action again goes on with them.
    """

    matched: int
    changed: int
    refused: tuple[Refusal, ...] = ()
    left: int = 0


class Change(Protocol):
    """Makes a change of many, or only counts what it would concern."""

    def __call__(self, *, dry_run: bool) -> Result: ...


@dataclass(slots=True)
class Progress:
    """How far an action has come."""

    ends_at: float
    seen: int = 0
    changed: int = 0
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def is_late(self) -> bool:
        """Whether it must end: whoever asked waits for an answer."""
        return time.monotonic() >= self.ends_at

    def refuse(self, row_id: uuid.UUID, exc: Exception) -> None:
        if len(self.refusals) < MOST_REFUSED:
            self.refusals.append(Refusal(row_id, str(exc)[:500]))

    def stop(self) -> None:
        self.ends_at = float("-inf")

    def result(self, matched: int) -> Result:
        return Result(matched, self.changed, tuple(self.refusals), max(0, matched - self.seen))


@contextmanager
def recorded(action: str, actor: str, target: dict[str, Any]) -> Iterator[Progress]:
    """Record an action before it begins, and complete the record however it ends: nothing happens unrecorded."""
    progress = Progress(time.monotonic() + MOST_SECONDS)
    entry = record(action, actor, target, 0)
    try:
        yield progress
    finally:
        OperatorAction.objects.filter(pk=entry.pk).update(count=progress.changed)


def slices(found: QuerySet[Any], size: int) -> Iterator[list[uuid.UUID]]:
    """Return the ids of what is found, some at a time and in one order: each once, though it may match again."""
    last: uuid.UUID | None = None
    while True:
        after = found if last is None else found.filter(pk__gt=last)
        ids = list(after.order_by("pk").values_list("pk", flat=True)[:size])
        if not ids:
            return
        yield ids
        last = ids[-1]


def record(action: str, actor: str, target: dict[str, Any], count: int) -> OperatorAction:
    """Write down who does what, to what and to how many."""
    return OperatorAction.objects.create(action=action, actor=actor, target=target, count=count)
