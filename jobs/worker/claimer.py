"""Claims the jobs that messages bring, as many as the pool can begin soon, and gives them to it.

A message is a hint that jobs are due. It is acknowledged when each of its jobs is claimed, or was found not to be
claimed here: somebody else has it, it has ended, it waits.
"""

import logging
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from celery import Celery, signals

from jobs.ledger.claims import Claimed
from jobs.worker import put_backs
from jobs.worker.backlog import Backlog
from jobs.worker.deliveries import Answer, Wanted, new_lease
from jobs.worker.events import Events
from jobs.worker.log_lines import say
from jobs.worker.main_thread import MainThread
from jobs.worker.pace import Lookahead
from jobs.worker.pool import PATIENCE, Pool
from jobs.worker.put_backs import unknown_here
from jobs.worker.reserved import Reserved, ReservedJob
from jobs.worker.revoke import is_revoked_by_stamp

if TYPE_CHECKING:
    from jobs.worker.ledger_thread import LedgerThread

logger = logging.getLogger("celery.worker.strategy")


class Claimer:
    """Used by the worker's main thread, but for `deliver`."""

    def __init__(self, app: Celery, consumer: Any, main: MainThread, reserved: Reserved, events: Events) -> None:
        self._app, self._consumer, self._main = app, consumer, main
        self._reserved, self._events = reserved, events
        self._pool: Pool
        self._ahead: Lookahead
        self._ledger: LedgerThread
        self._backlog: Backlog
        self._redispatch: Callable[[Sequence[uuid.UUID]], None]
        self._look_first: Callable[[], None]
        self._asked = 0
        self._is_to_ask = self._is_ended = False

    def serve(
        self,
        pool: Pool,
        ledger: "LedgerThread",
        redispatch: Callable[[Sequence[uuid.UUID]], None],
        release: Callable[[Sequence[ReservedJob]], None],
        look_first: Callable[[], None],
    ) -> None:
        """Claim for this pool from this ledger.

        Args:
            pool: gets what is claimed.
            ledger: claims.
            redispatch: has jobs sent again whose message this worker has used up.
            release: puts claimed jobs back into their queue.
            look_first: asks for jobs that wait without a message (`ask_lines`), where it is time for that.
        """
        self._look_first = look_first
        self._pool, self._ahead, self._ledger, self._redispatch = pool, Lookahead(pool), ledger, redispatch
        self._backlog = Backlog(redispatch, release, self._main, self._turn)

    def deliver(self, wanted: Sequence[Wanted]) -> None:
        """Take what a message brings."""
        self._ahead.note_message(len(wanted))
        self._backlog.waiting.extend(wanted)
        self.soon()

    def soon(self) -> None:
        """Have another look at what is to be claimed, and to be given to the pool."""
        if not self._is_to_ask:
            self._is_to_ask = True
            self._main.call(self._turn)

    def _turn(self) -> None:
        self._is_to_ask = False
        if self._is_ended:
            self._backlog.put_all_back()
            return
        if self._pool.free:
            self._backlog.settle_passed_on()
        self._feed()
        self._look_first()
        self._ask()
        self._ahead.set_prefetch(self._consumer)

    def _ask(self) -> None:
        """Have claimed what the pool can begin soon."""
        waiting = self._backlog.waiting
        if not waiting:
            return
        room = self._room(self._ahead.queues.of(waiting.first().queue))
        if not room:
            return
        asked = waiting.take(room)
        self._asked += len(asked)
        self._reserved.ask(wanted.lease_id for wanted in asked)
        self._ledger.claim(asked)

    def _room(self, mean: float) -> int:
        return self._ahead.room(mean, self._asked + self._backlog.claimed)

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
            self._backlog.put(reserved)
        for wanted in asked:
            wanted.delivery.settle()
        for reserved in jobs:
            self._tell_received(reserved)
        if unrun := [*map(unknown_here, unknown), *map(put_backs.revoked, revoked)]:
            self._ledger.record(unrun)
        if answer.again:
            self._redispatch(answer.again)
        self._turn()

    def _tell_received(self, job: ReservedJob) -> None:
        if logger.isEnabledFor(logging.INFO):
            say(logger, logging.INFO, "Task %s[%s] received", job.name, job.id)
        if signals.task_received.receivers:
            signals.task_received.send(sender=self._consumer, request=job)
        self._events.received(job)

    def _feed(self) -> None:
        """Give the pool what it can begin."""
        ready = self._backlog.ready
        while ready.jobs and (free := self._pool.free):
            share = min(self._pool.chunk_jobs, -(-len(ready.jobs) // free))
            self._pool.give(ready.next_chunk(self._ahead.tasks.of, share))

    def ended(self, job: ReservedJob, seconds: float) -> None:
        """Note that a job has ended after this time."""
        self._ahead.note(job.job, seconds)

    # --- What others ask --------------------------------------------------------------------------

    def ask_lines(self) -> list[str]:
        """Return leases for jobs that wait in line, as many as there is room for."""
        leases = [] if self._is_ended else [new_lease() for _ in range(self._room(self._ahead.queues.slowest()))]
        self._asked += len(leases)
        self._reserved.ask(leases)
        return leases

    def lines_answered(self, leases: Sequence[str], claimed: Sequence[Claimed]) -> None:
        """Take what was claimed of that."""
        self._asked -= len(leases)
        self.answered((), Answer(claimed, ()))
        self._reserved.answered(leases, ())

    def unbegun(self, jobs: Sequence[ReservedJob]) -> None:
        """Take back what the pool has not begun, and will not."""
        self._backlog.take_back(jobs, may_begin=not self._is_ended and bool(self._pool.free))
        self.soon()

    def look(self) -> None:
        """Let go what this worker will not begin soon: others may."""
        now = time.monotonic()
        self._backlog.let_go_late(now)
        soon = int(self._ahead.pace.rate(now) * PATIENCE)
        if not self._pool.free:
            self._backlog.let_go_waiting(now, soon, self._ahead.ended_at)
        self._turn()

    def opened(self, breakers: Collection[str]) -> None:
        """Put back what would begin in vain: these breakers have opened."""
        self._backlog.opened(breakers)

    def recall(self, job_id: uuid.UUID) -> ReservedJob | None:
        """Return a job that is claimed and that the pool does not have; it will not get it any more."""
        return self._backlog.recall(job_id)

    def connection_lost(self) -> None:
        """Let go the messages that came with a connection which is gone: broker or ledger will send them again."""
        self._backlog.forget_messages()

    def stop(self) -> None:
        """Claim nothing more, and put back what has not begun."""
        self._is_ended = True
        self._backlog.put_all_back()
