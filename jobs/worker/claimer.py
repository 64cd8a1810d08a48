"""Claims the jobs that messages bring, as many as the pool can begin soon, and gives them to it.

A message is a hint that jobs are due. It is acknowledged when each of its jobs is claimed, or was found not to be
claimed here: somebody else has it, it has ended, it waits.
"""

import itertools
import logging
import secrets
import time
import uuid
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING, Any

from celery import Celery, signals

from jobs.conf import queue_weights
from jobs.ledger.claims import Claimed
from jobs.ledger.enqueue import NewJob
from jobs.worker.events import Events
from jobs.worker.gathering import Gathering
from jobs.worker.later import Later
from jobs.worker.main_thread import MainThread
from jobs.worker.pool import CHUNK_SECONDS, PATIENCE, Pool, Ready
from jobs.worker.reserved import Reserved, ReservedJob
from jobs.worker.revoke import is_revoked_by_stamp
from jobs.worker.started_flags import started
from jobs.worker.waiting import Waiting

if TYPE_CHECKING:
    from jobs.worker.ledger_thread import LedgerThread

logger = logging.getLogger("celery.worker.strategy")

#: How much a job changes the mean of the times that its task's jobs take, and that mean in the beginning, in seconds.
WEIGHT = 0.2
FIRST_MEAN = 1.0

#: Messages are taken ahead for as many jobs as should run within so many seconds, but not fewer than so many messages.
PREFETCH_SECONDS = 0.1
FEWEST_MESSAGES = 2

#: The pace at which jobs end is measured over at least so many seconds.
PACE_SECONDS = 0.2

#: At most so many jobs are claimed by one statement.
MOST_AT_ONCE = 500

_worker = secrets.token_hex(10)
_numbers = itertools.count(1)


def new_lease() -> str:
    """Return the id of a lease that nobody had before."""
    return f"{_worker}{next(_numbers):012x}"


class Delivery:
    """A message, and how many of its jobs still need it."""

    __slots__ = ("_acknowledge", "left")

    def __init__(self, acknowledge: Callable[[], object], jobs: int) -> None:
        self._acknowledge, self.left = acknowledge, jobs

    def settle(self) -> None:
        """Note that a job does not need the message any more."""
        self.left -= 1
        if self.left:
            return
        try:
            self._acknowledge()
        except Exception as exc:  # noqa: BLE001 (the connection that it came by is gone)
            logger.debug("A message could not be acknowledged (%s); where it comes again, its jobs are taken.", exc)


@dataclass(slots=True, eq=False)
class Wanted:
    """A job that a message brings.

    Attributes:
        queue: that the message came from.
        task: its name, where the message says it; a chunk's does not.
        delivery: the message.
        priority: of the message, 0 to 9; higher first.
        in_chunk: whether others came with it.
        is_foreign: whether the message is somebody else's, who has checked nothing.
    """

    job_id: uuid.UUID
    queue: str
    task: str
    delivery: Delivery
    priority: int = 0
    in_chunk: bool = False
    is_foreign: bool = False
    lease_id: str = field(default_factory=new_lease)
    since: float = field(default_factory=time.monotonic)
    #: When its row was first found locked, by the monotonic clock; 0 before.
    locked_at: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Foreign:
    """A message of somebody else's, whose job has no row yet."""

    job: NewJob
    wanted: Wanted
    #: Called where the database will never take the row, with its error.
    park: Callable[[Exception], None]


@dataclass(slots=True)
class Answer:
    """What came of some claims.

    Attributes:
        claimed: with the jobs of batch tasks that were claimed beside those asked for.
        again: jobs that wait, and cannot be claimed just now: their messages are to be sent again.
    """

    claimed: Sequence[Claimed]
    again: Sequence[uuid.UUID]


class Means:
    """How long jobs take, by task and by queue, in seconds. Used by the main thread; read by any."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def note(self, name: str, seconds: float) -> None:
        """Take a job's time into account."""
        mean = self._means.get(name, FIRST_MEAN)
        self._means[name] = mean + WEIGHT * (seconds - mean)

    def of(self, name: str) -> float:
        """Return the mean."""
        return self._means.get(name, FIRST_MEAN)


class Pace:
    """How many jobs end in a second. Any thread may count one; the main thread asks."""

    def __init__(self) -> None:
        self._ends = self._seen = 0
        self._seen_at = time.monotonic()
        self._rate = 0.0

    def count(self) -> None:
        """Note that a job has ended."""
        self._ends += 1

    def rate(self, now: float) -> float:
        """Return how many have ended in a second since it was asked the last time."""
        seconds = now - self._seen_at
        if seconds >= PACE_SECONDS:
            self._rate = (self._ends - self._seen) / seconds
            self._seen, self._seen_at = self._ends, now
        return self._rate


class Claimer:
    """Used by the worker's main thread, but for `deliver`."""

    def __init__(self, app: Celery, consumer: Any, main: MainThread, reserved: Reserved, events: Events) -> None:
        self._app, self._consumer, self._main = app, consumer, main
        self._reserved, self._events = reserved, events
        self._pool: Pool
        self._ledger: LedgerThread
        self._redispatch: Callable[[Sequence[uuid.UUID]], None]
        self._release: Callable[[Sequence[ReservedJob]], None]
        self._waiting: Waiting[Wanted] = Waiting(queue_weights())
        self._asked = 0
        self._ready = Ready()
        self._later = Later(lambda due: self._main.call(partial(self._begin, due)))
        self._gathering = Gathering(self._main.call, self._begin)
        self._tasks, self._queues = Means(), Means()
        self._is_to_ask = self._is_ended = False
        #: When a job last ended, by the monotonic clock, and how many end in a second.
        self._ended_at, self._pace = time.monotonic(), Pace()
        #: How many jobs a message brings.
        self._per_message = 1.0
        #: Messages whose jobs were sent again, to be acknowledged when the pool is free.
        self._passed_on: list[Wanted] = []
        #: The queues that had jobs.
        self._consumed: set[str] = set()

    def serve(
        self,
        pool: Pool,
        ledger: "LedgerThread",
        redispatch: Callable[[Sequence[uuid.UUID]], None],
        release: Callable[[Sequence[ReservedJob]], None],
    ) -> None:
        """Claim for this pool from this ledger.

        Args:
            pool: gets what is claimed.
            ledger: claims.
            redispatch: has jobs sent again whose message this worker has used up.
            release: puts claimed jobs back into their queue.
        """
        self._pool, self._ledger, self._redispatch, self._release = pool, ledger, redispatch, release

    def deliver(self, wanted: Sequence[Wanted]) -> None:
        """Take what a message brings."""
        self._per_message += WEIGHT * (len(wanted) - self._per_message)
        self._waiting.extend(wanted)
        self.soon()

    def soon(self) -> None:
        """Have another look at what is to be claimed, and to be given to the pool."""
        if not self._is_to_ask:
            self._is_to_ask = True
            self._main.call(self._turn)

    def _turn(self) -> None:
        self._is_to_ask = False
        if self._is_ended:
            self._put_all_back()
            return
        if self._pool.free:
            self._settle_passed_on()
        self._feed()
        self._ask()
        self._set_prefetch()

    # --- Claiming ---------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Have claimed what the pool can begin soon."""
        if not self._waiting:
            return
        room = self._room(self._queues.of(self._waiting.first().queue))
        if not room:
            return
        asked = self._waiting.take(room)
        self._asked += len(asked)
        self._reserved.ask(wanted.lease_id for wanted in asked)
        self._ledger.claim(asked)

    def _room(self, mean: float) -> int:
        """Return for how many more jobs there is room that take so long: rather several, half is used up first."""
        each = max(1, min(self._pool.chunk_jobs, int(CHUNK_SECONDS / mean)))
        size, free = self._pool.size, self._pool.free
        ahead = size if each > 1 and (free or not self._is_slow()) else 0
        target = min(MOST_AT_ONCE, (free + ahead) * each)
        have = self._asked + len(self._ready.jobs) + len(self._later)
        return 0 if have >= target or (have > free and have * 2 > target) else target - have

    def ask_lines(self) -> list[str]:
        """Return leases for jobs that wait in line, as many as there is room for."""
        leases = [] if self._is_ended else [new_lease() for _ in range(self._room(self._mean()))]
        self._asked += len(leases)
        self._reserved.ask(leases)
        return leases

    def lines_answered(self, leases: Sequence[str], claimed: Sequence[Claimed]) -> None:
        """Take what was claimed of that."""
        self._asked -= len(leases)
        self.answered((), Answer(claimed, ()))
        self._reserved.answered(leases, ())

    def _mean(self) -> float:
        """Return the mean of the slowest queue."""
        return max((self._queues.of(queue) for queue in self._consumed), default=FIRST_MEAN)

    def _set_prefetch(self) -> None:
        """Take as many messages ahead as should begin soon. Where jobs are slow, other workers may have them."""
        qos, base = self._consumer.qos, self._consumer.initial_prefetch_count
        if qos is None or not base or self._consumer.connection.transport.driver_type == "amqp":
            # With RabbitMQ's quorum queues a limit holds for consumers that are made after it.
            return
        mean = self._mean()
        ahead = int(PREFETCH_SECONDS / mean) * self._pool.size if mean < CHUNK_SECONDS else 0
        wanted = max(FEWEST_MESSAGES, ceil((base + min(MOST_AT_ONCE, ahead)) / self._per_message))
        if not qos.value / 2 <= wanted <= qos.value:
            # Celery's loop sees to it that the broker knows.
            qos.value = wanted

    def _is_slow(self) -> bool:
        """Return whether all that the pool has lasts longer than jobs did before."""
        now = time.monotonic()
        return all(now - chunk.given_at > 2 * CHUNK_SECONDS for chunk in self._pool.chunks())

    def answered(self, asked: Sequence[Wanted], answer: Answer) -> None:
        """Take what was claimed."""
        self._asked -= len(asked)
        foreign = {wanted.lease_id for wanted in asked if wanted.is_foreign}
        jobs: list[ReservedJob] = []
        unknown: list[ReservedJob] = []
        revoked: list[ReservedJob] = []
        for job in answer.claimed:
            task = self._app.tasks.get(job.task)
            reserved = ReservedJob(job, task, self._consumer.hostname, is_foreign=job.lease_id in foreign)
            if task is None or not hasattr(task, "check_arguments"):
                unknown.append(reserved)
            elif is_revoked_by_stamp((job.options or {}).get("headers") or {}):
                revoked.append(reserved)
            else:
                jobs.append(reserved)
        self._reserved.answered((wanted.lease_id for wanted in asked), [*jobs, *unknown, *revoked])
        for reserved in jobs:
            if reserved.job.begins_in:
                self._later.put(reserved, reserved.job.begins_in)
            elif reserved.task.batch_wait and reserved.job.begins_in is None and not reserved.is_foreign:
                self._make_ready(self._gathering.put(reserved))
            else:
                self._ready.jobs.append(reserved)
        for wanted in asked:
            wanted.delivery.settle()
        for reserved in jobs:
            self._tell_received(reserved)
        self._ledger.unknown(unknown)
        self._ledger.revoked(revoked)
        if answer.again:
            self._redispatch(answer.again)
        self._turn()

    def _tell_received(self, job: ReservedJob) -> None:
        if logger.isEnabledFor(logging.INFO):
            logger.info("Task %s[%s] received", job.name, job.id)
        if signals.task_received.receivers:
            signals.task_received.send(sender=self._consumer, request=job)
        self._events.received(job)

    # --- The pool ---------------------------------------------------------------------------------

    def _feed(self) -> None:
        while self._ready.jobs and (free := self._pool.free):
            share = min(self._pool.chunk_jobs, -(-len(self._ready.jobs) // free))
            calls = self._ready.next_chunk(self._tasks.of, share)
            self._pool.give(calls)

    def _begin(self, due: Sequence[ReservedJob]) -> None:
        """Have jobs begin whose time has come."""
        self._make_ready(due)
        self._turn()

    def _make_ready(self, due: Sequence[ReservedJob]) -> None:
        for job in due:
            job.claimed_at = time.monotonic()
        self._ready.jobs.extend(due)

    def ended(self, job: ReservedJob, seconds: float) -> None:
        """Note that a job has ended after this time."""
        self._tasks.note(job.job.task, seconds)
        self._queues.note(job.job.queue, seconds)
        self._consumed.add(job.job.queue)
        self._ended_at = time.monotonic()
        self._pace.count()

    def unbegun(self, jobs: Sequence[ReservedJob]) -> None:
        """Take back what the pool has not begun, and will not: another process may, or another worker."""
        for job in jobs:
            job.chunk = None
            started.reset(job.slot)
        if not self._is_ended and self._pool.free:
            self._ready.jobs.extendleft(reversed(jobs))
        elif jobs:
            self._release(jobs)
        self.soon()

    def look(self) -> None:
        """Let go what this worker will not begin soon: others may."""
        now = time.monotonic()
        late = [job for job in self._ready.jobs if now - job.claimed_at > PATIENCE]
        if late:
            gone = set(late)
            self._ready.jobs = deque(job for job in self._ready.jobs if job not in gone)
            self._release(late)
        soon = int(self._pace.rate(now) * PATIENCE)
        if not self._pool.free:
            self._let_go_waiting(now, soon)
        self._turn()

    def _let_go_waiting(self, now: float, soon: int) -> None:
        """Have jobs sent again that wait for a pool which is not free: a free worker may have them.

        A chunk of slow jobs is split: each of those that wait goes back as a message of its own, but for as many as
        begin `soon`, at the pace at which jobs end here. Where nothing ends, all that wait are sent again, and their
        messages are kept: so the broker gives this worker no others meanwhile.
        """
        late = [wanted for wanted in islice(self._waiting, soon, None) if now - wanted.since > PATIENCE]
        chunked = [wanted for wanted in late if wanted.in_chunk]
        single = [wanted for wanted in late if not wanted.in_chunk] if now - self._ended_at > PATIENCE else []
        self._waiting.remove({*chunked, *single})
        self._let_go(chunked)
        self._redispatch([wanted.job_id for wanted in single])
        self._passed_on += single

    def opened(self, breakers: Collection[str]) -> None:
        """Put back what is claimed, has not begun, and would begin in vain: these breakers have opened."""
        vain = [job for job in self._ready.jobs if job.job.breaker in breakers]
        gone = set(vain)
        self._ready.jobs = deque(job for job in self._ready.jobs if job not in gone)
        if vain := [*vain, *self._gathering.needing(breakers)]:
            self._release(vain)

    def recall(self, job_id: uuid.UUID) -> ReservedJob | None:
        """Return a job that is claimed and that the pool does not have; it will not get it any more."""
        for job in self._ready.jobs:
            if job.job.id == job_id:
                self._ready.jobs.remove(job)
                return job
        return self._later.recall(job_id) or self._gathering.recall(job_id)

    # --- Ends -------------------------------------------------------------------------------------

    def connection_lost(self) -> None:
        """Let go the messages that came with a connection which is gone: broker or ledger will send them again."""
        self._passed_on.clear()
        waiting = self._waiting.take_all()
        self._redispatch([wanted.job_id for wanted in waiting])

    def stop(self) -> None:
        """Claim nothing more, and put back what has not begun."""
        self._is_ended = True
        self._put_all_back()

    def _put_all_back(self) -> None:
        self._settle_passed_on()
        waiting = self._waiting.take_all()
        self._let_go(waiting)
        ready, self._ready.jobs = [*self._ready.jobs, *self._later.take_all(), *self._gathering.take_all()], deque()
        if ready:
            self._release(ready)

    def _settle_passed_on(self) -> None:
        passed_on, self._passed_on = self._passed_on, []
        for wanted in passed_on:
            wanted.delivery.settle()

    def _let_go(self, waiting: Sequence[Wanted]) -> None:
        if waiting:
            self._redispatch([wanted.job_id for wanted in waiting])
            for wanted in waiting:
                wanted.delivery.settle()
