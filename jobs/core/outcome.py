"""What becomes of a job after an attempt: decided here, in pure functions, and nowhere else."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from celery.exceptions import Ignore, Reject, Retry

from jobs.core.held_by import HeldBy
from jobs.core.retry import RetryPolicy
from jobs.errors import Cancel, Permanent, Snooze


class Reason(StrEnum):
    """Why a job gave up."""

    EXHAUSTED = "exhausted"
    PERMANENT = "permanent"
    EXPIRED = "expired"
    DEADLINE = "deadline"
    POISON = "poison"
    INVALID = "invalid"
    REJECTED = "rejected"
    UNKNOWN_TASK = "unknown-task"
    NO_KEY = "no-key"
    UNREADABLE = "unreadable"


#: The least that a job waits which puts itself back by `Reject(requeue=True)`, in seconds; Celery runs it at once.
LEAST_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The task returned."""


@dataclass(frozen=True, slots=True)
class RetryIn:
    """The attempt failed; another follows after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Dead:
    """The job gives up, for this reason."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The job is put off by `delay` seconds and gets its attempt back."""

    delay: float


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The job is no longer wanted."""


@dataclass(frozen=True, slots=True)
class Released:
    """The job goes back to its queue at once: its worker stops, or ended its process for another job.

    Attributes:
        gets_attempt_back: whether the attempt does not count: it went back by itself between two steps, having kept
            what it had done; or it only shared a call with a job that was to be ended.
    """

    gets_attempt_back: bool = False


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The worker's code cannot run the job: it waits for a worker with newer code, and gets its attempt back."""

    by: HeldBy


Outcome = Succeeded | RetryIn | Dead | Snoozed | Cancelled | Released | HeldBack


@dataclass(frozen=True, slots=True)
class Tries:
    """How far a job has come.

    Attributes:
        attempt: the attempt that just ended, counted from 1 since the job was enqueued or last replayed.
        worker_losses: how often its worker or pool process died under it before.
        seconds_left: until its deadline, by which its last attempt must have ended; below zero where that has passed.
    """

    attempt: int
    worker_losses: int = 0
    seconds_left: float = inf


def after_error(error: BaseException, policy: RetryPolicy, tries: Tries, random: Callable[[], float]) -> Outcome:
    """Return what becomes of a job whose task raised `error`. Nothing is put off beyond the job's deadline."""
    return _in_time(_after_error(error, policy, tries, random), tries)


def _in_time(outcome: Outcome, tries: Tries) -> Outcome:
    if isinstance(outcome, (RetryIn, Snoozed)) and outcome.delay >= tries.seconds_left:
        return Dead(Reason.DEADLINE)
    return outcome


def _after_error(  # noqa: PLR0911 (one line for each kind of error)
    error: BaseException, policy: RetryPolicy, tries: Tries, random: Callable[[], float]
) -> Outcome:
    match error:
        case Snooze():
            return Snoozed(error.seconds)
        case Cancel():
            return Cancelled()
        case Permanent():
            return Dead(Reason.PERMANENT)
        case Retry():
            return _after_retry_call(error, policy, tries, random)
        case Reject():
            return Snoozed(_pause(policy, tries, random)) if error.requeue else Dead(Reason.REJECTED)
        case Ignore():
            # Celery's "I have dealt with this one myself".
            return Succeeded()
    if is_permanent(error) or not policy.handles(error):
        return Dead(Reason.PERMANENT)
    return _retry_or_give_up(policy, tries, random)


def _pause(policy: RetryPolicy, tries: Tries, random: Callable[[], float]) -> float:
    """Return how long a job waits that has put itself back: it may do so always, and nothing counts how often."""
    return max(LEAST_PAUSE, policy.delay(tries.attempt, random))


def is_permanent(error: BaseException) -> bool:
    """Return whether an exception says of itself that no retry can mend its cause: its `permanent` is true."""
    try:
        return bool(getattr(error, "permanent", False))
    except Exception:  # noqa: BLE001 (an attribute that cannot be read says nothing)
        return False


def after_loss(policy: RetryPolicy, tries: Tries, max_worker_losses: int, random: Callable[[], float]) -> Outcome:
    """Return what becomes of a job whose worker or pool process died under it.

    A job that did so `max_worker_losses` times is taken for the cause and set aside as poison, so that it
    cannot bring down one worker after the other.
    """
    if tries.worker_losses + 1 >= max_worker_losses:
        return Dead(Reason.POISON)
    return _in_time(_retry_or_give_up(policy, tries, random), tries)


def _after_retry_call(call: Retry, policy: RetryPolicy, tries: Tries, random: Callable[[], float]) -> RetryIn | Dead:
    limit = getattr(call, "max_retries", None)
    allowed = policy.has_retry_left(tries.attempt) if limit is None else tries.attempt <= limit
    if not allowed:
        return Dead(Reason.EXHAUSTED)
    when = getattr(call, "delay", None)
    return RetryIn(policy.delay(tries.attempt, random) if when is None else max(0.0, float(when)))


def _retry_or_give_up(policy: RetryPolicy, tries: Tries, random: Callable[[], float]) -> RetryIn | Dead:
    if policy.has_retry_left(tries.attempt):
        return RetryIn(policy.delay(tries.attempt, random))
    return Dead(Reason.EXHAUSTED)
