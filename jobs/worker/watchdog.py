"""Time limits of jobs, for every pool: the soft one warns the body, the hard one and the deadline end the attempt.

A process of the pool is killed for it. Threads cannot be killed, so their jobs are taken from them: such an attempt is
recorded as timed out, and its late result is refused because its lease is gone. The thread itself hangs on; when too
many do, the worker replaces its own process.
"""

import contextlib
import logging
import os
import signal
import time
from functools import partial
from typing import Any

from billiard.pool import SIG_SOFT_TIMEOUT
from celery.worker import state

from jobs.worker import shutdown
from jobs.worker.pool import Chunk
from jobs.worker.reserved import ReservedJob
from jobs.worker.started_flags import Began, started

logger = logging.getLogger(__name__)

#: Seconds between two looks.
EVERY = 0.2

#: The worker replaces itself when this share of its threads hangs.
HUNG_SHARE = 0.5

#: Handlers that a task has of its end may take so many seconds more than its hard limit; then they hang.
HANDLERS_SECONDS = 10.0


class Watchdog:
    """Watches the running jobs of a worker. Used by one thread of maintenance."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._engine = worker.consumer.engine
        self._hung: set[ReservedJob] = set()

    def check(self) -> bool:
        """Warn and end the jobs that are past their limits."""
        for chunk in self._engine.pool.chunks():
            mine = [job for job in chunk.jobs() if job.chunk is chunk]
            for job in mine:
                if job.is_running:
                    self._check(job)
            if mine and all(job.is_ended for job in mine):
                self._check_handlers(chunk, mine[-1])
        self._renew_where_hung()
        return False

    def _check(self, job: ReservedJob) -> None:
        pid, began_at = started.process(job.slot)
        taken = time.monotonic() - began_at
        hard, soft = self._limits(job)
        if soft and taken > soft and not job.is_warned and pid != os.getpid():
            job.is_warned = True
            logger.warning("Soft time limit (%ss) exceeded for %s[%s]", soft, job.name, job.id)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, SIG_SOFT_TIMEOUT)
        if job.overtime is not None or job.is_past_deadline or not job.is_running:
            return
        if hard and taken > hard:
            logger.error("Hard time limit (%ss) exceeded for %s[%s]", hard, job.name, job.id)
            end = partial(self._engine.endings.overtime, job, hard)
        elif job.job.seconds_left <= 0:
            logger.error("The deadline of %s[%s] passed while it ran", job.name, job.id)
            end = partial(self._engine.endings.past_deadline, job)
        else:
            return
        if pid == os.getpid():
            self._hung.add(job)
        end()

    def _check_handlers(self, chunk: Chunk, last: ReservedJob) -> None:
        """End a process that hangs in what a task has called after its end, which is on record."""
        hard, _ = self._limits(last)
        taken = time.monotonic() - last.ended_at
        if hard and last.ended_at and taken > hard + HANDLERS_SECONDS and chunk.pid not in {None, os.getpid()}:
            logger.error("%s[%s] has ended, but not its handlers: their process is ended.", last.name, last.id)
            with contextlib.suppress(ProcessLookupError):
                os.kill(chunk.pid or 0, signal.SIGKILL)

    def _limits(self, job: ReservedJob) -> tuple[float | None, float | None]:
        """Return a job's hard and soft limit, in seconds: of its call, its task, or its worker."""
        options = job.job.options or {}
        hard = options.get("time_limit") or job.task.time_limit or self._worker.time_limit
        soft = options.get("soft_time_limit") or job.task.soft_time_limit or self._worker.soft_time_limit
        return hard, soft

    def _renew_where_hung(self) -> None:
        self._hung = {job for job in self._hung if started.state(job.slot) == Began.YES and job.chunk in self._chunks()}
        if self._hung and len(self._hung) >= HUNG_SHARE * self._worker.concurrency and state.should_stop is None:
            logger.error("%d of %d threads hang; the worker renews itself.", len(self._hung), self._worker.concurrency)
            shutdown.renew()

    def _chunks(self) -> list[Chunk]:
        return list(self._engine.pool.chunks())
