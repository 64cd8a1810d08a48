"""What a task's calls need: who writes its jobs stands behind the tasks, and `jobs.apps` says who it is."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from jobs.ledger.enqueue import Written
from jobs.tasks.options import Options

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask


class Enqueuer(Protocol):
    """Writes jobs. `jobs.enqueue.enqueuer` is one."""

    def enqueue(self, task: "JobTask", args: Sequence[Any], kwargs: Mapping[str, Any], options: Options) -> Written:
        """Write one job in the caller's transaction and have it dispatched when that commits. Returns it."""

    def enqueue_many(
        self, task: "JobTask", calls: Sequence[tuple[Sequence[Any], Mapping[str, Any]]], options: Options
    ) -> list[Written]:
        """Write many jobs of one task in one insert: all of them or none. Returns them, in order."""
