"""Claimed jobs of batch tasks that wait for others to be called with them (`batch_wait=`).

They are the worker's like all that it has claimed: their leases are renewed, a worker that stops puts them back with
the attempt given back, and those of one that dies are rescued.
"""

import time
from collections.abc import Callable, Collection, Sequence

from jobs.worker.later import Later
from jobs.worker.reserved import ReservedJob


class Gathering:
    """Used by the worker's main thread.

    Args:
        soon: has the main thread call something.
        begin: takes the jobs of a batch whose wait is over.
    """

    def __init__(
        self, soon: Callable[[Callable[[], object]], object], begin: Callable[[Sequence[ReservedJob]], None]
    ) -> None:
        self._begin = begin
        #: By task, each job with the moment until which it waits, by the monotonic clock, in the order of these.
        self._batches: dict[str, list[tuple[float, ReservedJob]]] = {}
        self._clock = Later(lambda _: soon(self._look))

    def put(self, job: ReservedJob) -> list[ReservedJob]:
        """Take a job. Returns the jobs that need not wait any more: a full batch, or all with one that cannot wait."""
        task = job.task
        batch = self._batches.setdefault(task.name, [])
        batch.append((time.monotonic() + task.batch_wait, job))
        if len(batch) >= task.batch or _must_begin_within(job, task.batch_wait):
            return self._take(task.name)
        if len(batch) == 1:
            self._clock.put(job, task.batch_wait)
        return []

    def recall(self, job_id: object) -> ReservedJob | None:
        """Return a job, and keep it no more."""
        for batch in self._batches.values():
            for job in [job for _, job in batch if job.job.id == job_id]:
                self._drop(batch, [job])
                return job
        return None

    def needing(self, breakers: Collection[str]) -> list[ReservedJob]:
        """Return the jobs that need one of these dependencies, and keep them no more."""
        found = [job for batch in self._batches.values() for _, job in batch if job.job.breaker in breakers]
        for batch in self._batches.values():
            self._drop(batch, found)
        return found

    def take_all(self) -> list[ReservedJob]:
        """Return all that are kept, and keep none."""
        return [job for name in list(self._batches) for job in self._take(name)]

    def _look(self) -> None:
        now = time.monotonic()
        for name, batch in list(self._batches.items()):
            if batch and batch[0][0] <= now:
                self._begin(self._take(name))

    def _take(self, name: str) -> list[ReservedJob]:
        return [job for _, job in self._batches.pop(name)]

    def _drop(self, batch: list[tuple[float, ReservedJob]], gone: Sequence[ReservedJob]) -> None:
        first = batch[0] if batch else None
        batch[:] = [one for one in batch if one[1] not in gone]
        if batch and batch[0] is not first:
            # The clock waits for the first one alone.
            self._clock.put(batch[0][1], max(0.0, batch[0][0] - time.monotonic()))


def _must_begin_within(job: ReservedJob, seconds: float) -> bool:
    return min(job.job.seconds_left, job.job.seconds_to_begin) <= seconds
