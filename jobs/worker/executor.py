"""One attempt, in five steps: claim, check the gates, run, decide, record. Runs in the pool's process or thread."""

import logging
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from celery import Celery, Task
from celery.exceptions import Ignore, MaxRetriesExceededError, Retry
from django.db import transaction
from kombu.utils.json import dumps, loads

from jobs.compose.followers import Following, enqueue_followers, following_request, in_place
from jobs.core import described, outcome as outcomes
from jobs.core.course import course_of
from jobs.core.delivery import OWN
from jobs.core.held_by import HeldBy
from jobs.core.job_ids import ledger_id
from jobs.core.outcome import Outcome, Reason, Tries
from jobs.core.retry import RetryPolicy
from jobs.deadletters import publisher
from jobs.enqueue import tracing
from jobs.enqueue.enqueuer import enqueuing_for
from jobs.enqueue.message import CORRELATION_HEADER, LEDGER_HEADER
from jobs.errors import EnqueueError, InvalidArguments
from jobs.ledger import attempts
from jobs.ledger.attempts import Failure
from jobs.ledger.claims import Claimed
from jobs.tasks.coroutines import finished
from jobs.worker import sessions, started_flags
from jobs.worker.claim import claim
from jobs.worker.contained import contained
from jobs.worker.database import PATIENCE_AFTER, DatabaseGone, patiently
from jobs.worker.redacted import RedactedError, redacted
from jobs.worker.results import kept

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

logger = logging.getLogger(__name__)

#: In a request whose parent process writes successes: a list, for the number of an attempt whose success is left to it.
LEFT = OWN + "left"


NO_FAILURE = Failure("", "")

#: What is kept of a success whose lease was lost.
TOO_LATE = Failure("Succeeded", "It succeeded.")


class Refused(Ignore):
    """Raised when an attempt ended after its lease was lost: its result does not count."""


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt of a job ended. Plain values: it goes from process to process.

    Attributes:
        following: what follows the job if it succeeded.
        result: what it returned, for what follows.
    """

    job_id: uuid.UUID
    attempt: int
    outcome: Outcome
    failure: Failure = NO_FAILURE
    following: Following | None = None
    result: Any = None


class Unrecorded(Ignore):
    """Raised when database or broker stay away after an attempt: the worker's parent keeps the outcomes meanwhile.

    Its only argument is a list of `End`s: of the job, or of those jobs of a batch that could not be recorded.
    """


class Expired(Exception):
    """The error of a job whose time passed before it could begin."""


def execute(task: "JobTask", args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Run one attempt of the job that `task.request` delivers, and record what became of it.

    Returns:
        What the task returned.

    Raises:
        What Celery should make of it: the task's error where the job is dead, Retry where another attempt
        follows, Ignore where there was nothing to run or nothing to keep.
    """
    request = task.request
    job_id = ledger_id(request.id)
    claimed = claim(task, job_id, request.lease_id, args, kwargs)
    request.job_id, request.job_attempt = job_id, claimed.attempt
    request.retries = claimed.retries
    request.job_correlation_id = request.get(CORRELATION_HEADER) or str(job_id)
    with tracing.attempt(task), enqueuing_for(job_id, request.job_correlation_id):
        return _execute(task, job_id, claimed, args, kwargs)


def _execute(  # noqa: RET503 (tell_celery raises)
    task: "JobTask", job_id: uuid.UUID, claimed: Claimed, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    request = task.request
    lease_id = request.lease_id
    try:
        if claimed.expired:
            raise Expired("The job's time passed before it could begin.")
        check_arguments(task, args, kwargs, checked_before=bool(request.get(LEDGER_HEADER)))
        result = run(task, *args, **kwargs)
    except Exception as exc:  # noqa: BLE001 (whatever the task raised is its job's outcome)
        error: Exception = exc
    else:
        try:
            if not _leave(task, claimed):
                contained(request, partial(_record_success, task, job_id, lease_id, claimed, result))
            return result
        except (Refused, Unrecorded):
            raise
        except EnqueueError as exc:
            error = Misfit(f"What follows it cannot be enqueued: {exc}")
        except Exception as exc:  # noqa: BLE001 (a success that cannot be recorded is a failure, not a lost worker)
            error = exc
    outcome = decide(task, error, claimed)
    if isinstance(outcome, outcomes.Succeeded):
        # As in Celery, nothing follows what is to be ignored.
        request.chain = request.callbacks = None
        _record_success(task, job_id, lease_id, claimed, None)
        raise error
    error = redacted(task, error, [(args, kwargs)])
    failure = failure_of(error)
    end = End(job_id, claimed.attempt, outcome, failure)
    tell_celery(task, _record(task, end), error, failure)


def run(task: "JobTask", *args: Any, **kwargs: Any) -> Any:
    """Run the task's body, and what comes before it. Raises what it raises; Escaped for what is no error."""
    return contained(task.request, partial(_run, task, *args, **kwargs))


def _run(task: "JobTask", *args: Any, **kwargs: Any) -> Any:
    request = task.request
    if error := course_of(request).error:
        raise error
    with sessions.of_a_task(), started_flags.of_body(request):
        task.before_start(request.id, request.args, request.kwargs)
        return kept(task, finished(task.run(*args, **kwargs)))


class Misfit(Exception):
    """The error of a job whose arguments do not fit the task, or whose result does not fit the one that follows."""


class NeedsNewerCode(Misfit):
    """The error of a job whose arguments fitted the code that enqueued it, and do not fit the worker's."""


def check_arguments(task: "JobTask", args: Sequence[Any], kwargs: Mapping[str, Any], *, checked_before: bool) -> None:
    """Check a job's arguments once more, before the body.

    Raises:
        NeedsNewerCode: they do not fit, and were `checked_before`, at the call.
        Misfit: they do not fit, and come from a foreign producer, who checked nothing.
    """
    try:
        contained(task.request, partial(task.check_arguments, args, kwargs))
    except InvalidArguments as exc:
        raise (NeedsNewerCode if checked_before else Misfit)(str(exc)) from None


def decide(task: "JobTask", error: Exception, claimed: Claimed) -> Outcome:
    """Return what becomes of a job after `error`."""
    if isinstance(error, Expired):
        return outcomes.Dead(Reason.EXPIRED)
    if isinstance(error, NeedsNewerCode):
        return outcomes.HeldBack(HeldBy.INVALID)
    if isinstance(error, Misfit):
        return outcomes.Dead(Reason.INVALID)
    tries = Tries(claimed.attempt - claimed.attempt_base, claimed.worker_losses)
    policy = policy_of(task, claimed)
    try:
        return outcomes.after_error(error, policy, tries, random.random)
    except Exception as exc:  # noqa: BLE001 (what the error asks for makes no sense, as a limit of retries in letters)
        error.add_note(f"What it asks for cannot be done: {described.shown(exc)}.")
        return outcomes.after_error(exc, policy, tries, random.random)


def policy_of(task: "JobTask", claimed: Claimed) -> RetryPolicy:
    """Return how often and how soon a job is tried again: as its task says, as often as its call said."""
    return replace(task.policy, max_retries=claimed.max_retries)


def _has_handlers(task: "JobTask") -> bool:
    """Return whether code of the task's own comes after its success: it may hang, or kill its process."""
    kind = type(task)
    return kind.on_success is not Task.on_success or kind.after_return is not Task.after_return


def _leave(task: "JobTask", claimed: Claimed) -> bool:
    """Leave a success to the parent process to write, if it offers that and nothing follows. Returns whether it is."""
    request = task.request
    left = request.get(LEFT)
    if left is None or request.chain or request.callbacks or _has_handlers(task):
        return False
    left.append(claimed.attempt)
    return True


def _record_success(task: "JobTask", job_id: uuid.UUID, lease_id: str, claimed: Claimed, result: Any) -> None:
    """Running → succeeded, and what follows in the chain is enqueued in the same transaction."""
    request = task.request
    following = following_request(task, job_id)
    end = End(job_id, claimed.attempt, outcomes.Succeeded(), NO_FAILURE, following, result)
    done = recorded(lambda: succeed(task.app, end, lease_id), end)
    follow = partial(enqueue_followers, task.app, following, result)
    if not done and not succeed_late(job_id, claimed.attempt, request.hostname, follow):
        raise Refused("The lease was lost.")
    # They are enqueued: Celery must not do so again.
    request.chain = request.callbacks = None


def succeed(app: Celery, end: End, lease_id: str) -> bool:
    """Running → succeeded, with what follows enqueued in the same transaction. Returns false where the lease was lost.

    Raises:
        EnqueueError: what follows cannot be enqueued; nothing has changed.
    """
    if not end.following:
        return attempts.succeed(end.job_id, lease_id)
    with transaction.atomic():
        done = attempts.succeed(end.job_id, lease_id)
        if done:
            enqueue_followers(app, end.following, end.result)
    return done


def succeed_late(job_id: uuid.UUID, attempt: int, worker: str, follow: Callable[[], object] = bool) -> bool:
    """Let a success count whose lease was lost, if nobody has begun the job again; else note that it is refused.

    `follow` enqueues what follows the job, in the same transaction.
    """

    def write(_: bool) -> bool:
        with transaction.atomic():
            counts = attempts.succeed_late(job_id, attempt, worker)
            if counts:
                follow()
        return counts

    try:
        if patiently(write, PATIENCE_AFTER):
            logger.warning("[%s] attempt %d succeeded after its lease was lost, and counts.", job_id, attempt)
            return True
    except DatabaseGone:
        logger.warning("[%s] the database is gone: a success after the lease was lost is refused.", job_id)
    refuse(job_id, attempt, worker, TOO_LATE)
    return False


def _record(task: "JobTask", end: End) -> Outcome:
    """Write an outcome. Returns what became of the job. Raises Refused where the lease was lost."""
    became = end.outcome

    def write() -> bool:
        nonlocal became
        written = record(end.job_id, task.request.lease_id, end.outcome, end.failure)
        became = written or end.outcome
        return written is not None

    if not recorded(write, end):
        refuse(end.job_id, end.attempt, task.request.hostname, end.failure)
        raise Refused("The lease was lost.")
    return became


def record(
    job_id: uuid.UUID, lease_id: str, outcome: Outcome, failure: Failure, *, lost_worker: bool = False
) -> Outcome | None:
    """Write an outcome into the ledger.

    Returns:
        What became of the job: cancelled where an operator has asked for that; None where the lease was lost.

    Raises:
        RowLocked: somebody else's transaction holds the job's row; try again while the lease lasts.
        BrokerGone: the job gives up, and the broker did not take its dead letter.
    """
    if not _written(job_id, lease_id, outcome, failure, lost_worker=lost_worker):
        return None
    goes_on = isinstance(outcome, (outcomes.RetryIn, outcomes.Snoozed, outcomes.Released, outcomes.HeldBack))
    return outcomes.Cancelled() if goes_on and attempts.is_cancelled(job_id) else outcome


def _written(  # noqa: PLR0911 (one line for each outcome)
    job_id: uuid.UUID, lease_id: str, outcome: Outcome, failure: Failure, *, lost_worker: bool
) -> bool:
    match outcome:
        case outcomes.Succeeded():
            return attempts.succeed(job_id, lease_id)
        case outcomes.RetryIn(delay):
            return attempts.retry(job_id, lease_id, delay, failure, lost_worker=lost_worker)
        case outcomes.Dead(reason):
            return publisher.bury(job_id, lease_id, reason, failure, lost_worker=lost_worker)
        case outcomes.Snoozed(delay):
            return attempts.snooze(job_id, lease_id, delay, failure.summary)
        case outcomes.Cancelled():
            return attempts.cancel_running(job_id, lease_id, failure)
        case outcomes.Released():
            return attempts.release(job_id, lease_id, failure)
        case outcomes.HeldBack(by):
            return attempts.hold(job_id, lease_id, by, failure)


def recorded(write: Callable[[], bool], end: End) -> bool:
    """Write an outcome, waiting a while for the database. Raises Unrecorded where it, or the broker, stays away."""
    in_doubt = False

    def attempt(again: bool) -> bool:
        nonlocal in_doubt
        in_doubt = in_doubt or again
        return write()

    try:
        # After a lost answer, "no such lease" may mean that the first try was committed.
        return patiently(attempt, PATIENCE_AFTER) or in_doubt
    except (DatabaseGone, publisher.BrokerGone) as exc:
        raise Unrecorded([portable(end)]) from exc


def portable(end: End) -> End:
    """Return an end whose result is plain JSON: another process must be able to read it."""
    try:
        return replace(end, result=loads(dumps(end.result)) if end.following else None)
    except (TypeError, ValueError, RecursionError):
        # What takes it cannot be enqueued either, and says so.
        return replace(end, result=None)


def refuse(job_id: uuid.UUID, attempt: int, worker: str, failure: Failure) -> None:
    """Keep note of a result that came after its lease was lost."""
    logger.warning("[%s] attempt %d ended after its lease was lost; its result is refused.", job_id, attempt)
    try:
        patiently(lambda _: attempts.refuse(job_id, attempt, worker, failure), PATIENCE_AFTER)
    except DatabaseGone:
        logger.warning("[%s] the refused result could not be recorded, the database is gone.", job_id)


def failure_of(error: BaseException) -> Failure:
    """Return what is kept of an error: the original one, where Celery's retry wraps it."""
    if isinstance(error, Retry):
        error = error.exc if isinstance(error.exc, BaseException) else error
    if isinstance(error, RedactedError):
        return Failure(error.type, error.message, error.traceback)
    return Failure(
        type=type(error).__qualname__,
        message=described.message(error),
        traceback=described.traceback(error),
    )


def tell_celery(task: "JobTask", outcome: Outcome, error: Exception, failure: Failure) -> NoReturn:
    """Raise what makes Celery's own bookkeeping (events for Flower, signals, error links) tell the truth."""
    # The others are enqueued with the outcome.
    task.request.errbacks = in_place(task.app, task.request.errbacks)
    match outcome:
        case outcomes.RetryIn(delay) | outcomes.Snoozed(delay):
            raise Retry(message=failure.summary, exc=error, when=delay) from error
        case outcomes.Dead() if isinstance(error, Retry):
            cause = error.exc if isinstance(error.exc, Exception) else None
            raise cause or MaxRetriesExceededError(failure.summary)
        case outcomes.Dead():
            raise error
        case _:
            raise Ignore(failure.summary) from error
