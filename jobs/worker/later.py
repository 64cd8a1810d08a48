"""Claimed jobs whose time has not come: a limit has given each its own, within a second."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Sequence

from jobs.worker.reserved import ReservedJob


class Later:
    """A clock for them. Its thread starts with the first one.

    Args:
        due: told of those whose time has come; in the clock's thread.
    """

    def __init__(self, due: Callable[[Sequence[ReservedJob]], object]) -> None:
        self._due = due
        self._jobs: list[tuple[float, int, ReservedJob]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def put(self, job: ReservedJob, seconds: float) -> None:
        """Keep a job for so many seconds."""
        with self._changed:
            heapq.heappush(self._jobs, (time.monotonic() + seconds, next(self._numbers), job))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="jobs-later", daemon=True)
                self._thread.start()
            self._changed.notify()

    def take_all(self) -> list[ReservedJob]:
        """Return all that are kept, and keep none."""
        with self._changed:
            jobs, self._jobs = [job for _, _, job in sorted(self._jobs)], []
        return jobs

    def recall(self, job_id: object) -> ReservedJob | None:
        """Return a job, and keep it no more."""
        with self._changed:
            found = next((entry for entry in self._jobs if entry[2].job.id == job_id), None)
            if found is None:
                return None
            self._jobs.remove(found)
            heapq.heapify(self._jobs)
        return found[2]

    def __len__(self) -> int:
        return len(self._jobs)

    def _run(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                due = []
                while self._jobs and self._jobs[0][0] <= now:
                    due.append(heapq.heappop(self._jobs)[2])
                if not due:
                    self._changed.wait(self._jobs[0][0] - now if self._jobs else None)
            if due:
                self._due(due)
