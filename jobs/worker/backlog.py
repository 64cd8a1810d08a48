"""What a worker has taken and its pool has not begun, and how the worker lets it go: others may begin it sooner."""

import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Sequence
from functools import partial
from itertools import islice

from jobs.conf import queue_weights
from jobs.worker.deliveries import Wanted
from jobs.worker.gathering import Gathering
from jobs.worker.later import Later
from jobs.worker.main_thread import MainThread
from jobs.worker.pool import PATIENCE, Ready
from jobs.worker.reserved import ReservedJob
from jobs.worker.started_flags import started
from jobs.worker.waiting import Waiting


class Backlog:
    """Used by the worker's main thread, but for `waiting`, to which any thread may add.

    Args:
        redispatch: has jobs sent again whose message this worker has used up.
        release: puts claimed jobs back into their queue.
        main: the worker's main thread.
        begin: told when there is more that can begin.

    Attributes:
        waiting: what messages brought and nobody has claimed.
        ready: what is claimed and waits for the pool.
    """

    def __init__(
        self,
        redispatch: Callable[[Sequence[uuid.UUID]], None],
        release: Callable[[Sequence[ReservedJob]], None],
        main: MainThread,
        begin: Callable[[], None],
    ) -> None:
        self._redispatch, self._release = redispatch, release
        self.waiting: Waiting[Wanted] = Waiting(queue_weights())
        self.ready = Ready()
        self._begin = begin
        #: What is claimed and waits for its time, or for others of its batch.
        self._later = Later(lambda due: main.call(partial(self._have_begin, due)))
        self._gathering = Gathering(main.call, self._have_begin)
        #: Messages whose jobs were sent again, to be acknowledged when the pool is free.
        self._passed_on: list[Wanted] = []

    @property
    def claimed(self) -> int:
        """How many claimed jobs there are in it."""
        return len(self.ready.jobs) + len(self._later)

    def put(self, job: ReservedJob) -> None:
        """Keep a claimed job until the pool is free, and until its time, or that of its batch."""
        if job.job.begins_in:
            self._later.put(job, job.job.begins_in)
        elif job.task.batch_wait and job.job.begins_in is None and not job.is_foreign:
            self._make_ready(self._gathering.put(job))
        else:
            self.ready.jobs.append(job)

    def _have_begin(self, due: Sequence[ReservedJob]) -> None:
        """Have jobs begin whose time has come."""
        self._make_ready(due)
        self._begin()

    def _make_ready(self, due: Sequence[ReservedJob]) -> None:
        for job in due:
            job.claimed_at = time.monotonic()
        self.ready.jobs.extend(due)

    def take_back(self, jobs: Sequence[ReservedJob], *, may_begin: bool) -> None:
        """Take back what the pool has not begun, and will not: another process may, or another worker."""
        for job in jobs:
            job.chunk = None
            started.reset(job.slot)
        if may_begin:
            self.ready.jobs.extendleft(reversed(jobs))
        elif jobs:
            self._release(jobs)

    def let_go_late(self, now: float) -> None:
        """Let go what is claimed and the pool has not got in time."""
        self._let_go_ready(lambda job: now - job.claimed_at > PATIENCE)

    def _let_go_ready(self, is_to_go: Callable[[ReservedJob], bool]) -> None:
        if gone := {job for job in self.ready.jobs if is_to_go(job)}:
            going = [job for job in self.ready.jobs if job in gone]
            self.ready.jobs = deque(job for job in self.ready.jobs if job not in gone)
            self._release(going)

    def let_go_waiting(self, now: float, soon: int, ended_at: float) -> None:
        """Have jobs sent again that wait for a pool which is not free: a free worker may have them.

        A chunk of slow jobs is split: each of those that wait goes back as a message of its own, but for as many as
        begin `soon`, at the pace at which jobs end here. Where nothing ends, all that wait are sent again, and their
        messages are kept: so the broker gives this worker no others meanwhile.

        Args:
            now: by the monotonic clock.
            soon: how many will begin before this is called again.
            ended_at: when a job last ended, by the monotonic clock.
        """
        late = [wanted for wanted in islice(self.waiting, soon, None) if now - wanted.since > PATIENCE]
        chunked = [wanted for wanted in late if wanted.in_chunk]
        single = [wanted for wanted in late if not wanted.in_chunk] if now - ended_at > PATIENCE else []
        self.waiting.remove({*chunked, *single})
        self._let_go(chunked)
        self._redispatch([wanted.job_id for wanted in single])
        self._passed_on += single

    def settle_passed_on(self) -> None:
        """Acknowledge the messages that were kept: the pool is free, and the broker may give others."""
        passed_on, self._passed_on = self._passed_on, []
        for wanted in passed_on:
            wanted.delivery.settle()

    def opened(self, breakers: Collection[str]) -> None:
        """Put back what is claimed, has not begun, and would begin in vain: these breakers have opened."""
        self._let_go_ready(lambda job: job.job.breaker in breakers)
        if vain := self._gathering.needing(breakers):
            self._release(vain)

    def recall(self, job_id: uuid.UUID) -> ReservedJob | None:
        """Return a job that is claimed and that the pool does not have; it will not get it any more."""
        for job in self.ready.jobs:
            if job.job.id == job_id:
                self.ready.jobs.remove(job)
                return job
        return self._later.recall(job_id) or self._gathering.recall(job_id)

    def forget_messages(self) -> None:
        """Let go the messages that came with a connection which is gone: broker or ledger will send them again."""
        self._passed_on.clear()
        self._redispatch([wanted.job_id for wanted in self.waiting.take_all()])

    def put_all_back(self) -> None:
        """Let go everything."""
        self.settle_passed_on()
        self._let_go(self.waiting.take_all())
        ready, self.ready.jobs = [*self.ready.jobs, *self._later.take_all(), *self._gathering.take_all()], deque()
        if ready:
            self._release(ready)

    def _let_go(self, waiting: Sequence[Wanted]) -> None:
        if waiting:
            self._redispatch([wanted.job_id for wanted in waiting])
            for wanted in waiting:
                wanted.delivery.settle()
