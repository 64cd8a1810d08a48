"""One worker's jobs, from the messages that bring them to their recorded ends: who hands what to whom.

    message → Claimer → LedgerThread (claim) → Claimer → Pool → a process of the pool (`executor`)
    report → here: decide what only the parent process can → LedgerThread (record) → gone

Three threads meet here. The main thread reads messages and gives chunks to the pool; the ledger's thread claims, reads
reports and records; threads of maintenance renew leases and look for what is late.
"""

import logging
import os
import random
import time
import uuid
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from celery.exceptions import TimeLimitExceeded
from celery.worker import state

from jobs.core import outcome as outcomes
from jobs.core.outcome import Outcome, Reason
from jobs.core.states import State
from jobs.flow.declared import declare
from jobs.ledger import maintain
from jobs.ledger.attempts import OVERTIME, TOO_LATE, Failure
from jobs.worker.cancelling import WORDS
from jobs.worker.claimer import Answer, Claimer, Foreign, Wanted
from jobs.worker.dead_letters import DeadLetters
from jobs.worker.events import Events
from jobs.worker.executor import after_lost_worker, policy_of, tries_of
from jobs.worker.ledger_thread import LedgerThread
from jobs.worker.lines import Lines
from jobs.worker.main_thread import MainThread
from jobs.worker.pending_writes import Unsent, pending_writes
from jobs.worker.pool import Pool
from jobs.worker.recorder import End, Recorder, tell_of_lost
from jobs.worker.reports import Report, reports
from jobs.worker.reserved import Reserved, ReservedJob
from jobs.worker.started_flags import started

logger = logging.getLogger(__name__)

CANCELLED = Failure("Cancelled", WORDS)

#: Of a job whose process was ended for another one of its batch: it was cancelled, too late, or lost its lease.
BATCH_ENDED = Failure("BatchEnded", "Another job of its batch was to be ended, and with it the batch.")

#: How long a cancelled job whose body asks for that may take to end by itself, in seconds.
CANCEL_SECONDS = 5.0

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
        self.pool = Pool(consumer.hostname, self.events, self.claimer.unbegun, self._lost, reports.read, self.main)
        self._ledger = LedgerThread(
            consumer.hostname, reports, Recorder(app, self._recorded, self._opened), self._park, self._answered
        )
        self.lines = Lines(consumer, self.claimer, self._ledger)
        self._dead_letters = DeadLetters(self._ledger.record)
        self.claimer.serve(self.pool, self._ledger, self._redispatch, self._ledger.release)
        self.pool.serve(consumer.pool)
        reports.serve(self._reported)

    def start(self) -> None:
        """Begin, after the pool has forked."""
        self._ledger.serve(
            lambda task: getattr(self._app.tasks.get(task), "batch", 0),
            self._gone,
            self._adopted,
            partial(declare, self._app),
            lambda leases, claimed: self.main.call(partial(self.lines.answered, leases, claimed)),
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

    def cancel(self, lease_ids: Collection[str]) -> None:
        """End jobs that an operator wants ended. Called again and again until they are.

        One that waits here for its time, its batch or the pool does not begin. Of those that run, one whose body asks
        (`check_cancelled()`) is told, and has some seconds; any other is ended at once.
        """
        now = time.monotonic()
        for lease_id in lease_ids:
            job = self.reserved.get(lease_id)
            if job is None or job.is_ended or job.cancelled:
                continue
            started.cancel(job.slot)
            if not job.is_running:
                self.main.call(partial(self.recall, job.job.id))
                continue
            job.cancelled_at = job.cancelled_at or now
            if started.has_asked(job.slot) and not job.is_terminated and now - job.cancelled_at < CANCEL_SECONDS:
                continue
            job.cancelled = True
            # Threads cannot be ended: the job is taken from its thread.
            if not job.kill() and job.is_running:
                self._end(job, outcomes.Cancelled(), CANCELLED)

    def recall(self, job_id: uuid.UUID) -> bool:
        """Cancel a job that is claimed and has not begun. Returns whether it is."""
        job = self.claimer.recall(job_id)
        if job is not None:
            self._end(job, outcomes.Cancelled(), CANCELLED)
        return job is not None

    def overtime(self, job: ReservedJob, seconds: float) -> None:
        """End a job whose hard time limit has passed."""
        job.overtime = seconds
        self._take_away(job)

    def past_deadline(self, job: ReservedJob) -> None:
        """End a job whose deadline has passed."""
        job.is_past_deadline = True
        self._take_away(job)

    def _take_away(self, job: ReservedJob) -> None:
        if not job.kill() and job.is_running:
            self._lost(job, "")

    def end_lost(self, job: ReservedJob) -> None:
        """End a job whose lease was lost."""
        logger.warning("[%s] the lease was lost while it ran; the job is another worker's by now.", job.id)
        job.kill()

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

    def _lost(self, job: ReservedJob, death: str) -> None:
        """Decide what becomes of a job whose process is gone, or came back without a word."""
        if job.cancelled:
            self._end(job, outcomes.Cancelled(), CANCELLED)
        elif job.is_past_deadline:
            self._end(job, outcomes.Dead(Reason.DEADLINE), Failure(TOO_LATE, "The job's deadline passed while it ran."))
        elif job.overtime is not None:
            message = f"The hard time limit of {job.overtime:g} s passed."
            error = TimeLimitExceeded(message)
            outcome = outcomes.after_error(error, policy_of(job.task, job.job), tries_of(job.job), random.random)
            self._end(job, outcome, Failure(OVERTIME, message))
        elif job.was_in_the_way:
            self._end(job, outcomes.Released(gets_attempt_back=True), BATCH_ENDED)
        else:
            outcome, failure = after_lost_worker(job.task, job.job, death)
            if state.should_stop is not None or state.should_terminate:
                # It was stopped with its worker; that says nothing about the job.
                self._end(job, outcomes.Released(), failure)
                return
            self._end(job, outcome, failure, lost_worker=True)

    def _end(self, job: ReservedJob, outcome: Outcome, failure: Failure, *, lost_worker: bool = False) -> None:
        if started.process(job.slot)[0] == os.getpid() and started.is_running(job.slot):
            self.reserved.take_from_thread(job)
        job.is_ended = True
        self._ledger.record([End(job, outcome, failure, lost_worker=lost_worker)])

    def _park(self, ends: Sequence[End]) -> None:
        self._dead_letters.send(ends)

    def _recorded(self, end: End, became: Outcome) -> None:
        self.reserved.remove(end.job)
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
