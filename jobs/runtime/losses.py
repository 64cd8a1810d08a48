"""What the parent process must record because the child could not. Kept in memory until the database has it."""

import logging
import queue
import random
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker import state

from jobs.conf import conf
from jobs.core import outcome as outcomes
from jobs.core.outcome import Outcome, Tries
from jobs.ledger import attempts
from jobs.ledger.attempts import Claimed, Failure
from jobs.runtime.execute import ledger_id, record

if TYPE_CHECKING:
    from jobs.runtime.request import JobRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loss:
    """An attempt whose end only the parent process knows.

    Attributes:
        error, message: what happened to it, where its outcome is still to be decided.
        worker_lost: whether it counts as the job killing its worker.
        outcome, failure: what became of it, where the child decided and could not record it.
    """

    request: "JobRequest"
    error: str = ""
    message: str = ""
    worker_lost: bool = False
    outcome: Outcome | None = None
    failure: Failure | None = None

    @property
    def job_id(self) -> uuid.UUID:
        """The job's id in the ledger."""
        return ledger_id(self.request.id)


class Losses:
    """The losses not yet recorded, in order. Filled by the worker's main thread, emptied by housekeeping."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Loss] = queue.SimpleQueue()
        self._kept: list[Loss] = []
        self.arrived = threading.Event()

    def put(self, loss: Loss) -> None:
        """Keep a loss until it is recorded; wakes housekeeping."""
        self._queue.put(loss)
        self.arrived.set()

    def unrecorded(self) -> list[Loss]:
        """Return the losses still to be recorded; their leases are held meanwhile."""
        while not self._queue.empty():
            self._kept.append(self._queue.get_nowait())
        return list(self._kept)

    def record_all(self) -> None:
        """Record every loss. Raises the database's error at the first that could not be; the rest is kept."""
        for loss in self.unrecorded():
            _record(loss)
            self._kept.remove(loss)


losses = Losses()


def _record(loss: Loss) -> None:
    request = loss.request
    claimed = attempts.held(loss.job_id, request.lease_id)
    if claimed is None:
        # It had recorded its end before it died, was never claimed, or lost its lease.
        return
    failure = loss.failure or Failure(loss.error, loss.message)
    outcome = loss.outcome or _decide(loss, claimed)
    if record(loss.job_id, request.lease_id, outcome, failure, lost_worker=loss.worker_lost):
        _tell_celery(loss, outcome, failure)


def _decide(loss: Loss, claimed: Claimed) -> Outcome:
    policy = loss.request.task.policy
    tries = Tries(claimed.attempt - claimed.attempt_base, claimed.worker_losses)
    if not loss.worker_lost:
        return outcomes.after_error(TimeLimitExceeded(loss.message), policy, tries, random.random)
    if state.should_stop is not None or state.should_terminate:
        # It was stopped with its worker; that says nothing about the job.
        return outcomes.Released()
    return outcomes.after_loss(policy, tries, conf().max_worker_losses, random.random)


def _tell_celery(loss: Loss, outcome: Outcome, failure: Failure) -> None:
    """Let events and error links say what the ledger says."""
    request = loss.request
    match outcome:
        case outcomes.Dead():
            logger.error("%s[%s] is dead: %s", request.name, request.id, failure.summary)
            request.send_event("task-failed", exception=failure.summary, traceback=failure.traceback)
            error: Any = WorkerLostError(failure.message)
            request.task.backend.mark_as_failure(request.id, error, request=request._context, store_result=False)
        case outcomes.RetryIn(delay):
            logger.warning("%s[%s] is tried again in %.1f s: %s", request.name, request.id, delay, failure.summary)
            request.send_event("task-retried", exception=failure.summary, traceback=failure.traceback)
        case outcomes.Succeeded():
            request.send_event("task-succeeded", result="", runtime=0)
        case _:
            request.send_event("task-retried", exception=failure.summary, traceback="")
