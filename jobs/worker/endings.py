"""Ends that a worker's parent process decides: a process died, a limit or deadline passed, an operator wanted it."""

import logging
import os
import random
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from functools import partial

from celery import Celery
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker import state

from jobs.compose.followers import call_in_place
from jobs.core import outcome as outcomes
from jobs.core.outcome import Outcome, Reason
from jobs.ledger.attempts import OVERTIME, TOO_LATE, Failure
from jobs.worker.cancelling import WORDS
from jobs.worker.claimer import Claimer
from jobs.worker.decision import after_lost_worker, policy_of, tries_of
from jobs.worker.main_thread import MainThread
from jobs.worker.recorder import End
from jobs.worker.reserved import Reserved, ReservedJob
from jobs.worker.started_flags import started

logger = logging.getLogger(__name__)

CANCELLED = Failure("Cancelled", WORDS)

#: Of a job whose process was ended for another one of its batch: it was cancelled, too late, or lost its lease.
BATCH_ENDED = Failure("BatchEnded", "Another job of its batch was to be ended, and with it the batch.")

#: How long a cancelled job whose body asks for that may take to end by itself, in seconds.
CANCEL_SECONDS = 5.0


class Endings:
    """Any thread may ask.

    Args:
        main: the worker's main thread.
        reserved: the worker's jobs.
        claimer: has those that have not begun.
        record: takes ends.
    """

    def __init__(
        self, main: MainThread, reserved: Reserved, claimer: Claimer, record: Callable[[Sequence[End]], None]
    ) -> None:
        self._main, self._reserved, self._claimer, self._record = main, reserved, claimer, record

    def cancel(self, lease_ids: Collection[str]) -> None:
        """End jobs that an operator wants ended. Called again and again until they are.

        One that waits here for its time, its batch or the pool does not begin. Of those that run, one whose body asks
        (`check_cancelled()`) is told, and has some seconds; any other is ended at once.
        """
        now = time.monotonic()
        for lease_id in lease_ids:
            job = self._reserved.get(lease_id)
            if job is None or job.is_ended or job.cancelled:
                continue
            started.cancel(job.slot)
            if not job.is_running:
                self._main.call(partial(self.recall, job.job.id))
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
        job = self._claimer.recall(job_id)
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
            self.lost(job, "")

    def end_lost(self, job: ReservedJob) -> None:
        """End a job whose lease was lost."""
        logger.warning("[%s] the lease was lost while it ran; the job is another worker's by now.", job.id)
        job.kill()

    def lost(self, job: ReservedJob, death: str) -> None:
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
            self._reserved.take_from_thread(job)
        job.is_ended = True
        self._record([End(job, outcome, failure, lost_worker=lost_worker)])


def tell_of_lost(app: Celery, end: End, became: Outcome) -> None:
    """Log an end that the parent process has decided, and call its error links: the process that ran it cannot."""
    if end.report is not None or end.failure is None:
        return
    job = end.job.job
    match became:
        case outcomes.Dead():
            logger.error("%s[%s] is dead: %s", job.task, job.id, end.failure.summary)
            call_in_place(app, job.task, job.id, job.options, WorkerLostError(end.failure.message))
        case outcomes.RetryIn(delay):
            logger.warning("%s[%s] is tried again in %.1f s: %s", job.task, job.id, delay, end.failure.summary)
