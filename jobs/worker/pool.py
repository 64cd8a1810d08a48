"""Gives claimed jobs to Celery's pool, in chunks, and hears of their ends.

The pool gets as many chunks as it has processes or threads, each of as many jobs as fit into a short time by what their
task took before. What a chunk's process has not begun in time goes elsewhere; where it dies, the job that it was
running is lost, and only that one.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.worker import state

from jobs.worker.events import Events
from jobs.worker.executor import Call, Work, execute
from jobs.worker.main_thread import MainThread
from jobs.worker.reserved import ReservedJob
from jobs.worker.started_flags import MARGIN, Began, started

#: A chunk has as many jobs as should run within so many seconds, but not more than so many.
CHUNK_SECONDS = 0.02
CHUNK_JOBS = 100

#: What has not begun within so many seconds goes to whoever can begin it.
PATIENCE = 1.0


@dataclass(slots=True, eq=False)
class Chunk:
    """What one process or thread of the pool has been given.

    Attributes:
        begins_by: what it has not begun by then it will not begin; by the machine's monotonic clock.
        result: Celery's handle of it.
        pid: the process that has it, once that is known.
    """

    calls: Sequence[Sequence[ReservedJob]]
    begins_by: float
    result: Any = None
    pid: int | None = None
    given_at: float = field(default_factory=time.monotonic)

    def jobs(self) -> Iterable[ReservedJob]:
        """Return its jobs, in the order in which they run."""
        return (job for call in self.calls for job in call)


class Pool:
    """One worker's pool. Where the worker has an event loop, called by its thread; else by any.

    Args:
        hostname: the worker's name.
        events: told what begins.
        unbegun: takes back jobs that a chunk did not begin.
        lost: takes jobs whose process died while it ran them, and what is known of that.
        read: takes what the pool's processes have reported.
        main: has the worker's main thread call something.
    """

    def __init__(
        self,
        hostname: str,
        events: Events,
        unbegun: Callable[[Sequence[ReservedJob]], None],
        lost: Callable[[ReservedJob, str], None],
        read: Callable[[], None],
        main: MainThread,
    ) -> None:
        self._hostname, self._events, self._main = hostname, events, main
        self._unbegun, self._lost, self._read = unbegun, lost, read
        self._pool: Any = None
        self._chunks: set[Chunk] = set()

    def serve(self, pool: Any) -> None:
        """Give jobs to this pool of Celery's."""
        self._pool = pool

    @property
    def size(self) -> int:
        """How many chunks can run at a time."""
        return int(self._pool.num_processes or 1) if self._pool.active else 0

    @property
    def chunk_jobs(self) -> int:
        """How many jobs a chunk has at most. Where processes end after so many tasks, Celery counts chunks."""
        return 1 if self._pool.options.get("maxtasksperchild") else CHUNK_JOBS

    @property
    def free(self) -> int:
        """How many more chunks can begin now. Plain tasks have their share of the pool too."""
        plain = sum(not isinstance(request, ReservedJob) for request in list(state.active_requests))
        return max(0, self.size - len(self._chunks) - plain)

    def chunks(self) -> list[Chunk]:
        """Return what the pool has."""
        return list(self._chunks)

    def give(self, calls: Sequence[Sequence[ReservedJob]]) -> None:
        """Have these calls made, one after the other."""
        chunk = Chunk(calls, time.monotonic() + PATIENCE)
        self._chunks.add(chunk)
        for job in chunk.jobs():
            job.chunk = chunk
            state.task_reserved(job)
        work = Work(
            [
                Call([job.job for job in call], [job.slot for job in call], is_foreign=call[0].is_foreign)
                for call in calls
            ],
            chunk.begins_by,
            self._hostname,
            os.getpid(),
            self._events.enabled,
        )
        chunk.result = self._pool.apply_async(
            execute,
            (work,),
            # A pool of threads calls these in its threads.
            accept_callback=lambda pid, *_: self._main.call(partial(self._accepted, chunk, pid)),
            callback=lambda *_: self._main.call(partial(self._returned, chunk, "")),
            error_callback=lambda info: self._main.call(partial(self._returned, chunk, _death(info))),
        )

    def _accepted(self, chunk: Chunk, pid: int) -> None:
        chunk.pid = pid
        self._note_begun(next(iter(chunk.jobs())))

    def _note_begun(self, job: ReservedJob) -> None:
        if not job.is_ended and not job.is_told_begun:
            job.is_told_begun = True
            state.task_accepted(job)
            self._events.started(job)

    def _returned(self, chunk: Chunk, death: str) -> None:
        """Called when a chunk's process has come back from it, or died of `death`."""
        # What it has reported may not have been read.
        self._read()
        if chunk not in self._chunks:
            return
        self._chunks.discard(chunk)
        unbegun = []
        for job in chunk.jobs():
            if job.is_ended or job.chunk is not chunk:
                continue
            if started.state(job.slot) in {Began.YES, Began.ENDED}:
                self._lost(job, death or "its process came back without it")
            else:
                unbegun.append(job)
        self._unbegun(unbegun)

    def look(self) -> None:
        """Take back what chunks did not begin in time, and can begin no more; tell of what runs for longer."""
        now = time.monotonic()
        late = []
        is_dead = False
        for chunk in self.chunks():
            for job in chunk.jobs():
                if job.is_running and job.chunk is chunk:
                    self._note_begun(job)
                    is_dead = is_dead or not _lives(started.process(job.slot)[0])
            if now < chunk.begins_by + MARGIN:
                continue
            late += [
                job
                for job in chunk.jobs()
                if job.chunk is chunk and not job.is_ended and started.state(job.slot) in {Began.NOT, Began.REFUSED}
            ]
        if late:
            self._unbegun(late)
        if is_dead:
            # Celery looks for what a dead process had at its death, when it may not know yet, and then every 5 s.
            self._pool.maintain_pool()

    def keep_over_reconnect(self, forget: Callable[[], None], keeps: Callable[[Any], bool]) -> None:
        """Keep what the pool has while Celery makes it forget what a lost connection has brought.

        Args:
            forget: Celery's own way.
            keeps: returns whether one of the pool's processes has a chunk, by its handle.
        """
        forget()
        for chunk in self.chunks():
            if not keeps(chunk.result):
                self._returned(chunk, "")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _death(info: Any) -> str:
    """Return what billiard says of the death of a process."""
    error = info.exception
    return str(error.exc if isinstance(error, ExceptionWithTraceback) else error)


@dataclass(slots=True)
class Ready:
    """Claimed jobs that wait for the pool, and how they are put together."""

    jobs: deque[ReservedJob] = field(default_factory=deque)

    def next_chunk(self, seconds: Callable[[str], float], share: int) -> list[list[ReservedJob]]:
        """Return the calls of the next chunk: jobs of a batch task that lie together are one call.

        Args:
            seconds: that a job of a task takes.
            share: at most so many jobs, so that everybody who is free gets some.
        """
        calls: list[list[ReservedJob]] = []
        left, count = CHUNK_SECONDS, 0
        while self.jobs and count < CHUNK_JOBS:
            job = self.jobs[0]
            joins = bool(
                calls
                and job.task.batch
                and calls[-1][0].task is job.task
                and len(calls[-1]) < job.task.batch
                and not job.is_foreign
            )
            if calls and not joins and (left <= 0 or count >= share):
                break
            self.jobs.popleft()
            count += 1
            if joins:
                calls[-1].append(job)
            else:
                calls.append([job])
                left -= seconds(job.job.task)
        return calls
