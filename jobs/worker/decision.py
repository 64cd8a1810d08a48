"""What becomes of a job whose attempt failed, or whose process is gone, and what is kept of that.

`jobs.core.outcome` has the rules, which need no task; here they meet the task's policy and the job's count of attempts.
"""

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from celery.exceptions import Retry

from jobs.conf import conf
from jobs.core import described, outcome as outcomes
from jobs.core.held_by import HeldBy
from jobs.core.outcome import Outcome, Reason, Tries
from jobs.core.retry import RetryPolicy
from jobs.ledger.attempts import Failure
from jobs.ledger.claims import Claimed
from jobs.worker.cancelling import WorkerStopped
from jobs.worker.misfits import DeadlinePassed, Expired, Misfit, NeedsNewerCode, NoKey
from jobs.worker.redacted import RedactedError

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask


def outcome_of(  # noqa: PLR0911 (one line for each kind of error)
    task: "JobTask", error: Exception, job: Claimed
) -> Outcome:
    """Return what becomes of a job after `error`."""
    match error:
        case Expired():
            return outcomes.Dead(Reason.EXPIRED)
        case DeadlinePassed():
            return outcomes.Dead(Reason.DEADLINE)
        case NeedsNewerCode():
            return outcomes.HeldBack(HeldBy.INVALID)
        case NoKey():
            return outcomes.HeldBack(HeldBy.NO_KEY)
        case Misfit():
            return outcomes.Dead(Reason.INVALID)
        case WorkerStopped():
            return outcomes.Released(gets_attempt_back=True)
    tries, policy = tries_of(job), policy_of(task, job)
    try:
        return outcomes.after_error(error, policy, tries, random.random)
    except Exception as exc:  # noqa: BLE001 (what the error asks for makes no sense, as a limit of retries in words)
        error.add_note(f"What it asks for cannot be done: {described.shown(exc)}.")
        return outcomes.after_error(exc, policy, tries, random.random)


def after_lost_worker(task: "JobTask", job: Claimed, death: str) -> tuple[Outcome, Failure]:
    """Return what becomes of a job whose process died while it ran, and what is kept of that."""
    return after_loss(task, job), Failure("WorkerLost", f"The process that ran the job died: {death}.")


def after_loss(task: "JobTask | None", job: Claimed) -> Outcome:
    """Return what becomes of a job whose process or worker is gone."""
    return outcomes.after_loss(policy_of(task, job), tries_of(job), conf().max_worker_losses, random.random)


def tries_of(job: Claimed) -> Tries:
    """Return how far a job has come."""
    return Tries(job.attempt - job.attempt_base, job.worker_losses, job.seconds_left)


def policy_of(task: "JobTask | None", job: Claimed) -> RetryPolicy:
    """Return how often and how soon a job is tried again: as its task says, as often as its call said."""
    return replace(task.policy if task is not None else RetryPolicy(), max_retries=job.max_retries)


def failure_of(error: BaseException) -> Failure:
    """Return what is kept of an error: the original one, where Celery's retry wraps it."""
    if isinstance(error, Retry):
        error = error.exc if isinstance(error.exc, BaseException) else error
    if isinstance(error, RedactedError):
        return Failure(error.type, error.message, error.traceback)
    return Failure(
        type=type(error).__qualname__,
        message=described.message(error),
        # Below the frames of this room.
        traceback=described.traceback(error, __package__),
    )
