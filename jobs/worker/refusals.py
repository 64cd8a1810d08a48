"""Ends that the ledger refuses: the attempt's lease was lost, or what follows it cannot be written."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from celery import Celery
from django.db import transaction

from jobs.compose.changes import follow
from jobs.core import outcome as outcomes
from jobs.core.outcome import Outcome, Reason
from jobs.core.states import State
from jobs.errors import EnqueueError
from jobs.ledger import attempts
from jobs.ledger.attempts import Failure
from jobs.worker.decision import failure_of, outcome_of

if TYPE_CHECKING:
    from jobs.worker.recorder import End

logger = logging.getLogger(__name__)

#: What is kept of a success whose lease was lost.
TOO_LATE = Failure("Succeeded", "It succeeded.")

#: Seconds until an end is tried again that the database refuses whatever it says.
REFUSED_PAUSE = 10.0


def late(app: Celery, end: "End", then: Callable[[], object]) -> Outcome:
    """Settle an end whose lease was lost, and return what became of its job here.

    A success counts if nobody has begun the job again; of anything else it is noted that it was refused.

    Args:
        app: the application.
        end: of the attempt.
        then: called, in the transaction of a success that counts, to enqueue what follows it.
    """
    job, worker = end.job.job, end.job.hostname
    # One that changed its canvas does that again: nothing but its lease says that this was not done.
    if isinstance(end.outcome, outcomes.Succeeded) and (end.report is None or end.report.canvas is None):
        with transaction.atomic():
            counts = attempts.succeed_late(job.id, job.attempt, worker)
            if counts:
                if end.report is not None and end.report.value is not None:
                    attempts.keep_late_result(job.id, end.report.value)
                then()
                follow(app, job, State.SUCCEEDED)
        if counts:
            logger.warning("[%s] attempt %d succeeded after its lease was lost, and counts.", job.id, job.attempt)
            return end.outcome
    if end.report is not None:
        logger.warning("[%s] attempt %d ended after its lease was lost; its result is refused.", job.id, job.attempt)
        attempts.refuse(job.id, job.attempt, worker, end.failure or TOO_LATE)
    return outcomes.Released()


def of_error(end: "End", exc: Exception) -> "End":
    """Return the end of an attempt whose own end cannot be written: that error is its attempt's."""
    if isinstance(exc, EnqueueError):
        failure = Failure("Misfit", f"What follows it cannot be enqueued: {exc}")
        return replace(end, outcome=outcomes.Dead(Reason.INVALID), failure=failure, is_parked=False)
    if end.failure is not None and end.failure.type == "Unrecordable":
        logger.error("The end of %s cannot be written; it is tried again.", end.job, exc_info=exc)
        return replace(end, not_before=time.monotonic() + REFUSED_PAUSE)
    failure = replace(failure_of(exc), type="Unrecordable")
    return replace(end, outcome=outcome_of(end.job.task, exc, end.job.job), failure=failure, is_parked=False)
