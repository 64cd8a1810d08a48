"""One worker's jobs, from the messages that bring them to their recorded ends: who hands what to whom.

    message → Claimer → LedgerThread (claim) → Claimer → Pool → a process of the pool (`executor`)
    report → here: decide what only the parent process can → LedgerThread (record) → gone

Three threads meet here. The main thread reads messages and gives chunks to the pool; the ledger's thread claims, reads
reports and records; threads of maintenance renew leases and look for what is late.
"""

import time
import uuid
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from jobs.core.outcome import Outcome
from jobs.core.states import State
from jobs.flow.declared import declare
from jobs.ledger import maintain
from jobs.ledger.claims import Claimed
from jobs.worker.claimer import Claimer
from jobs.worker.dead_letters import DeadLetters
from jobs.worker.deliveries import Answer, Foreign, Wanted
from jobs.worker.endings import Endings, tell_of_lost
from jobs.worker.events import Events
from jobs.worker.ledger_thread import LedgerThread
from jobs.worker.lines import LineClaims, Lines
from jobs.worker.main_thread import MainThread
from jobs.worker.pending_writes import Unsent, pending_writes
from jobs.worker.pool import Pool
from jobs.worker.recorder import End, Recorder
from jobs.worker.reports import Report, reports
from jobs.worker.reserved import Reserved, ReservedJob
from jobs.worker.started_flags import started

#: How long a worker that stops waits for its last ends to be written, in seconds.
LAST_WRITES = 3.0


class Engine:
    """What a worker's consumer delivers to, and its maintenance looks after."""

    def __init__(self, app: Any, consumer: Any) -> None:
        self._app, self._consumer = app, consumer
        self.main = MainThread(consumer.hub)
        self.reserved = Reserved()
        self.events = Events(consumer)
        self.claimer = Claimer(app, consumer, self.main, self.reserved, self.events)
        lines = LineClaims(consumer.hostname, self._lines_answered)
        recorder = Recorder(app, self._recorded, self._opened)
        self._ledger = LedgerThread(consumer.hostname, reports, recorder, self._park, self._answered, lines)
        self.endings = Endings(self.main, self.reserved, self.claimer, self._ledger.record)
        self.pool = Pool(
            consumer.hostname, self.events, self.claimer.unbegun, self.endings.lost, reports.read, self.main
        )
        self.lines = Lines(consumer, self.claimer, self._ledger)
        self._dead_letters = DeadLetters(self._ledger.record)
        self.claimer.serve(self.pool, self._ledger, self._redispatch, self._ledger.release, self.lines.look_first)
        self.pool.serve(consumer.pool)
        reports.serve(self._reported)

    def start(self) -> None:
        """Begin, after the pool has forked."""
        self._ledger.serve(
            lambda task: getattr(self._app.tasks.get(task), "batch", 0),
            self._gone,
            self._adopted,
            partial(declare, self._app),
        )

    def look(self) -> bool:
        """Have the main thread look for what is late."""
        self.main.call(self.pool.look)
        self.main.call(self.claimer.look)
        self.main.call(self.lines.look)
        return False

    # --- What comes from others -------------------------------------------------------------------

    def deliver(self, wanted: Sequence[Wanted]) -> None:
        """Take the jobs that a message brings."""
        self.claimer.deliver(wanted)

    def adopt(self, foreign: Foreign) -> None:
        """Write the row of a message that came without; then it is delivered."""
        self._ledger.adopt(foreign)

    def _adopted(self, foreign: Foreign) -> None:
        self.main.call(partial(self.claimer.deliver, [foreign.wanted]))

    def connection_lost(self) -> None:
        """Let go what a connection to the broker had brought that is gone."""
        self.claimer.connection_lost()

    # --- What becomes of jobs ---------------------------------------------------------------------

    def _reported(self, found: Sequence[Report]) -> None:
        ends = []
        for report in found:
            if (late := self.reserved.come_back(report.lease_id)) is not None:
                # It has no lease any more: the ledger refuses it, and keeps note of it.
                ends.append(End(late, report.outcome, report.failure, report))
                continue
            job = self.reserved.get(report.lease_id)
            if job is None or job.is_ended:
                continue
            job.is_ended, job.ended_at = True, time.monotonic()
            self.claimer.ended(job, report.runtime)
            ends.append(End(job, report.outcome, report.failure, report))
        if ends:
            self._ledger.record(ends)

    def _park(self, ends: Sequence[End]) -> None:
        self._dead_letters.send(ends)

    def _recorded(self, end: End, became: Outcome) -> None:
        self.reserved.remove(end.job)
        if self.events.enabled:
            self.main.call(partial(self.events.ended, end.job, became, end.failure, end.report))
        if self.lines.may_move(end.job.job):
            self.main.call(self.lines.look_now)
        tell_of_lost(self._app, end, became)

    def _opened(self, breakers: Collection[str]) -> None:
        self.main.call(partial(self.claimer.opened, breakers))

    def _gone(self, jobs: Sequence[ReservedJob]) -> None:
        for job in jobs:
            self.reserved.remove(job)

    def _answered(self, asked: Sequence[Wanted], answer: Answer) -> None:
        self.main.call(partial(self.claimer.answered, asked, answer))
        if self.events.enabled:
            self._tell_of_cancelled(asked, answer)

    def _lines_answered(self, leases: Sequence[str], claimed: Sequence[Claimed]) -> None:
        self.main.call(partial(self.lines.answered, leases, claimed))

    def _tell_of_cancelled(self, asked: Sequence[Wanted], answer: Answer) -> None:
        """Let whoever watches know of jobs that were cancelled before anybody began them: nobody else tells of it."""
        begun = {job.id for job in answer.claimed}
        left = [wanted.job_id for wanted in asked if wanted.job_id not in begun]
        for job_id, (became, _) in maintain.fates(left).items():
            if became == State.CANCELLED and (job := maintain.job(job_id)) is not None:
                self.main.call(partial(self.events.cancelled_unbegun, job_id, job.task))

    def _redispatch(self, job_ids: Sequence[uuid.UUID]) -> None:
        if job_ids:
            pending_writes.put(Unsent(job_ids))

    # --- The worker's end -------------------------------------------------------------------------

    def stop(self) -> None:
        """Begin nothing more: what has not begun goes back, what runs may finish."""
        started.stop()
        self.claimer.stop()
        self.main.turn()

    def end(self) -> None:
        """Write what is left to be written. Called when the pool is gone."""
        self.main.turn()
        self.claimer.stop()
        self._dead_letters.stop(LAST_WRITES)
        self._ledger.stop(LAST_WRITES)
        self.main.turn()
