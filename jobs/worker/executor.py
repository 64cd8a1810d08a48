"""Runs jobs in the pool: prepare, check, run, decide, report. Nothing is written here.

The parent process has claimed what comes here, and records what became of it (`jobs.worker.recorder`). Single jobs,
chunks and batches go the same way: a chunk is a list of calls, and a call runs one job, or several of a batch task.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from celery import Task, current_app
from celery._state import _task_stack
from celery.app.task import Context
from celery.exceptions import Retry
from kombu.utils.json import dumps, loads

from jobs.compose import steps
from jobs.compose.followers import call_in_place
from jobs.compose.replacements import canvas_json
from jobs.compose.results import encoded, plain
from jobs.conf import conf
from jobs.core import described, outcome as outcomes
from jobs.core.held_by import HeldBy
from jobs.core.outcome import Outcome, Reason, Tries
from jobs.core.places import is_awaited
from jobs.core.retry import RetryPolicy
from jobs.core.versions import version_of
from jobs.enqueue.enqueuer import enqueuing_for
from jobs.errors import EncryptionError, InvalidArguments
from jobs.ledger.attempts import Failure
from jobs.ledger.claims import Claimed
from jobs.tasks import keys
from jobs.tasks.batch import Batch, Item, item_type
from jobs.tasks.coroutines import finished
from jobs.tasks.encryption import arguments_of
from jobs.tasks.replacing import Replaced
from jobs.tasks.versions import NewerVersion, upgraded
from jobs.worker import attempt_logs, callbacks, cancelling, observers, sessions
from jobs.worker.contained import contained, ends_process, escaped
from jobs.worker.redacted import RedactedError, redacted
from jobs.worker.reports import SUCCEEDED, Report, reports
from jobs.worker.requests import request_of
from jobs.worker.started_flags import started

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

#: Reports of jobs that have ended wait at most so many seconds for those after them.
REPORT_EVERY = 0.005


class Call(NamedTuple):
    """One call of a task: for one job, or for several of a batch task. `slots` are those of its jobs' flags."""

    jobs: Sequence[Claimed]
    slots: Sequence[int]
    #: Whether its job came in a message of somebody else's, who has checked nothing.
    is_foreign: bool = False


class Work(NamedTuple):
    """What a pool process gets.

    Attributes:
        calls: to be made one after the other.
        begins_by: a job that has not begun by then must not begin; by the machine's monotonic clock.
        hostname: the worker's name.
        parent_pid: the worker's parent process.
        shows_results: whether anybody listens to Celery's events, which show results.
    """

    calls: Sequence[Call]
    begins_by: float
    hostname: str
    parent_pid: int
    shows_results: bool


@dataclass(slots=True)
class Attempt:
    """One attempt of a job, as it comes along.

    Attributes:
        given: its arguments as they were before they were upgraded; None where they were not.
        error: why it failed; None while it has not.
        failure: what is kept of that.
        replacement: what the task put in its place.
    """

    job: Claimed
    slot: int
    is_foreign: bool = False
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    given: tuple[Sequence[Any], Mapping[str, Any]] | None = None
    error: Exception | None = None
    outcome: Outcome = SUCCEEDED
    failure: Failure | None = None
    replacement: Replaced | None = None


class Expired(Exception):
    """The error of a job whose time passed before it could begin."""


class WorkerStopped(Exception):
    """The error of a job that went back between two of its steps."""


class DeadlinePassed(Exception):
    """The error of a job whose deadline passed before it could begin."""


class Misfit(Exception):
    """The error of a job whose arguments do not fit the task, or whose result does not fit the one that follows."""


class UpgradeFailed(Exception):
    """The error of a job whose arguments an upgrade function of its task could not read."""


class NoKey(Exception):
    """The error of a job whose arguments are encrypted by a key that the worker does not have."""


class NeedsNewerCode(Misfit):
    """The error of a job whose arguments fitted the code that enqueued it, and do not fit the worker's."""


def execute(work: Work) -> None:
    """Make the calls of a chunk, and report how each of its jobs ended; what did not begin in time is not reported.

    Raises nothing but what ends the process.
    """
    waiting: list[Report] = []
    sent_at = time.monotonic()
    try:
        for call in work.calls:
            waiting += _make(call, work)
            if time.monotonic() - sent_at > REPORT_EVERY:
                ended, waiting, sent_at = waiting, [], time.monotonic()
                reports.send(ended)
    finally:
        if waiting:
            reports.send(waiting)


def _make(call: Call, work: Work) -> list[Report]:
    begun = [
        Attempt(job, slot, call.is_foreign)
        for job, slot in zip(call.jobs, call.slots, strict=True)
        if started.begin(slot, work.begins_by)
    ]
    if not begun:
        return []
    try:
        return _attempt(begun, work)
    except BaseException as exc:
        if ends_process(exc, work.parent_pid):
            raise
        # Whatever it was, and whoever raised it: it is the attempts' error. What was reported before stands.
        error = exc if isinstance(exc, Exception) else escaped(exc)
        return [_of_error(attempt.job, error) for attempt in begun]


def _of_error(job: Claimed, error: Exception) -> Report:
    outcome = outcome_of(current_app.tasks[job.task], error, job)
    return Report(job.lease_id, outcome, failure_of(error), None, None, 0.0, "")


def _attempt(attempts: Sequence[Attempt], work: Work) -> list[Report]:
    """Make one call in five steps. Returns what is still to be reported."""
    with _prepared(attempts, work) as (task, request):
        began_at = time.monotonic()
        result = None
        if ready := [attempt for attempt in attempts if _is_checked(task, request, attempt)]:
            first = ready[0].job
            with attempt_logs.kept(task, first.id, first.attempt, _arguments_of(attempts)):
                result = _run(task, request, ready)
        for attempt in attempts:
            started.end(attempt.slot)
        runtime = time.monotonic() - began_at
        for attempt in attempts:
            _decide(task, attempt, attempts)
        found = [_report(task, request, attempt, attempts, result, runtime, work) for attempt in attempts]
        observers.ended(attempts[0].outcome, attempts[0].error)
        if not any(_is_told(task, request, attempt, result) for attempt in attempts):
            _log(task, request, attempts[0], result, runtime)
            return found
        # What is called now may hang, or end its process: that must not cost what has ended.
        reports.send(found)
        _call_others(task, request, attempts, result, runtime)
        return []


# --- The five steps ---------------------------------------------------------------------------------


@contextmanager
def _prepared(attempts: Sequence[Attempt], work: Work) -> Iterator[tuple["JobTask", Context]]:
    """Make the attempt's request the current one, read the arguments, and let observers look on."""
    first = attempts[0]
    task: JobTask = current_app.tasks[first.job.task]
    for attempt in attempts:
        try:
            attempt.args, attempt.kwargs = arguments_of(loads(attempt.job.args), loads(attempt.job.kwargs))
        except EncryptionError as exc:
            attempt.error = NoKey(f"The arguments cannot be read. {exc}")
        except Exception as exc:  # noqa: BLE001 (what cannot be read is that job's error)
            attempt.error = exc
    request = request_of(first.job, first.args, first.kwargs, work.hostname, work.parent_pid)
    _task_stack.push(task)
    task.request_stack.push(request)
    try:
        with (
            observers.attempt(task, request),
            enqueuing_for(first.job.id, request.job_correlation_id),
            cancelling.running([attempt.slot for attempt in attempts]),
        ):
            yield task, request
    finally:
        task.request_stack.pop()
        _task_stack.pop()


def _is_checked(task: "JobTask", request: Context, attempt: Attempt) -> bool:
    """Return whether a job may run: its time has not passed, its arguments fit. Else its error says why not."""
    if attempt.error is not None:
        return False
    try:
        if attempt.job.expired:
            raise Expired("The job's time passed before it could begin.")
        if attempt.job.seconds_left <= 0:
            raise DeadlinePassed("The job's deadline passed before it could begin.")
        if (version := version_of(attempt.job.options)) != task.version:
            _upgrade(task, request, attempt, version)
        contained(request, partial(task.check_arguments, attempt.args, attempt.kwargs))
        if callable(task.key) or callable(task.tenant):
            contained(request, partial(keys.checked, task, attempt.args, attempt.kwargs))
    except InvalidArguments as exc:
        attempt.error = (Misfit if attempt.is_foreign else NeedsNewerCode)(str(exc))
    except Exception as exc:  # noqa: BLE001 (whatever a check raises is the attempt's error)
        attempt.error = exc
    return attempt.error is None


def _upgrade(task: "JobTask", request: Context, attempt: Attempt, version: int) -> None:
    """Make of a job's arguments those that its task takes now.

    Raises:
        NeedsNewerCode: they are of a later version than the task.
        UpgradeFailed: caused by what an upgrade function raised, if the check would take that for its own.
    """
    attempt.given = attempt.args, attempt.kwargs
    try:
        found = contained(request, partial(upgraded, task, version, attempt.args, attempt.kwargs))
    except NewerVersion as exc:
        raise NeedsNewerCode(str(exc)) from None
    except InvalidArguments as exc:
        raise UpgradeFailed(str(exc)) from exc
    attempt.args, attempt.kwargs = found
    if request.id == str(attempt.job.id):
        request.args, request.kwargs = found


def _run(task: "JobTask", request: Context, attempts: Sequence[Attempt]) -> Any:
    """Run the body, and what comes before it. Returns what it returned; what it raised is the attempts' error."""
    try:
        return contained(request, partial(_body, task, request, attempts))
    except Exception as exc:  # noqa: BLE001 (whatever the task raised is its jobs' outcome)
        for attempt in attempts:
            attempt.error = attempt.error or exc
        return None


def _body(task: "JobTask", request: Context, attempts: Sequence[Attempt]) -> Any:
    callbacks.before(task, request)
    if not task.batch:
        (attempt,) = attempts
        return _called(task, request, attempt.job, attempt.args, attempt.kwargs)
    items = list(_items(task, attempts))
    if items:
        _called(task, request, attempts[0].job, (Batch([item for _, item in items]),), {})
    for attempt, item in items:
        attempt.error = item.error
    return None


def _called(task: "JobTask", request: Context, job: Claimed, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    with sessions.of_a_task(), _with_steps(task, job):
        if type(task).before_start is not Task.before_start:
            task.before_start(request.id, request.args, request.kwargs)
        return finished(task.run(*args, **kwargs))


def _let_end() -> None:
    """End the attempt between two of its steps, where the worker stops or the job was cancelled."""
    cancelling.check_cancelled()
    if started.is_stopped():
        raise steps.Interrupted


@contextmanager
def _with_steps(task: "JobTask", job: Claimed) -> Iterator[None]:
    """Let the body have steps, unless it runs for several jobs."""
    try:
        with steps.of_attempt(job.id, job.lease_id, let_end=_let_end, has_steps=not task.batch, encrypt=task.encrypt):
            yield
    except steps.Interrupted:
        raise WorkerStopped(
            "The worker was stopped before the next step of the job, which goes on from there."
        ) from None


def _items(task: "JobTask", attempts: Sequence[Attempt]) -> Iterator[tuple[Attempt, Item[Any]]]:
    kind = item_type(task.run)
    for attempt in attempts:
        try:
            yield attempt, Item(kind(*attempt.args, **attempt.kwargs), attempt.job.id)
        except Exception as exc:  # noqa: BLE001 (whatever the item's type raises is that job's error)
            attempt.error = exc


def _decide(task: "JobTask", attempt: Attempt, attempts: Sequence[Attempt]) -> None:
    """Decide what becomes of a job, and what is kept of its error."""
    if attempt.error is None:
        return
    attempt.outcome = outcome_of(task, attempt.error, attempt.job)
    if isinstance(attempt.error, Replaced):
        attempt.replacement = attempt.error
    # One error may be that of all, and tell of any.
    attempt.error = redacted(task, attempt.error, _arguments_of(attempts))
    attempt.failure = failure_of(attempt.error)


def _arguments_of(attempts: Sequence[Attempt]) -> list[tuple[Sequence[Any], Mapping[str, Any]]]:
    """Return the arguments of all jobs of a call, and those that were upgraded as they were before."""
    return [(one.args, one.kwargs) for one in attempts] + [one.given for one in attempts if one.given is not None]


def _report(
    task: "JobTask",
    request: Context,
    attempt: Attempt,
    attempts: Sequence[Attempt],
    result: Any,
    runtime: float,
    work: Work,
) -> Report:
    """Return what the parent process must know of an attempt's end."""
    text, value, shown, canvas = None, None, "", None
    if isinstance(attempt.outcome, outcomes.Succeeded):
        try:
            canvas = contained(request, partial(canvas_json, attempt.replacement, request.added_to_chord))
        except Exception as exc:  # noqa: BLE001 (what cannot be enqueued is no success)
            attempt.error = exc
            _decide(task, attempt, attempts)
    if attempt.error is None:
        try:
            text = contained(request, partial(_followed_by, attempt.job.options or {}, result))
            keeps = not task.ignore_result or is_awaited(attempt.job.options)
            value = contained(request, partial(encoded, result, encrypt=task.encrypt)) if keeps else None
        except Exception as exc:  # noqa: BLE001 (what nothing can follow is no success)
            attempt.error = exc
            _decide(task, attempt, attempts)
    if attempt.error is None and work.shows_results:
        shown = callbacks.shown_result(task, request, result)
    # Celery's Ignore is an error, and a success.
    failure = None if isinstance(attempt.outcome, outcomes.Succeeded) else attempt.failure
    return Report(attempt.job.lease_id, attempt.outcome, failure, text, value, runtime, shown, canvas)


# --- What they are made of --------------------------------------------------------------------------


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


def _followed_by(options: Mapping[str, Any], result: Any) -> str | None:
    """Return a result as JSON, for what follows; None where nothing does.

    Raises:
        Misfit: it cannot be written as JSON, and something that follows takes it.
    """
    chain = options.get("chain") or ()
    takers = [*(options.get("link") or ()), *chain[-1:]]
    if not takers:
        return None
    try:
        return str(dumps(plain(result)))
    except Exception as exc:  # noqa: BLE001 (whatever the result raises, it is no JSON)
        if all(isinstance(taker, Mapping) and taker.get("immutable") for taker in takers):
            return "null"
        why = f"its result cannot be written as JSON: {described.shown(exc)}"
        raise Misfit(f"What follows it cannot be enqueued: {why}") from None


def _is_told(task: "JobTask", request: Context, attempt: Attempt, result: Any) -> bool:
    """Return whether somebody else's code is called after an attempt."""
    is_linked = isinstance(attempt.outcome, outcomes.Dead) and bool((attempt.job.options or {}).get("link_error"))
    return is_linked or callbacks.has_any(task, request, attempt.outcome, result)


def _log(task: "JobTask", request: Context, attempt: Attempt, result: Any, runtime: float) -> None:
    if attempt.error is None:
        callbacks.log_success(task, request, result, runtime)
    elif attempt.failure is not None:
        log = partial(callbacks.log_failure, task, request, attempt.error, attempt.outcome, attempt.failure)
        callbacks.guarded(task, request, log)


def _call_others(task: "JobTask", request: Context, attempts: Sequence[Attempt], result: Any, runtime: float) -> None:
    """Call what else wants to know, once for the call, and the error links of each job that gave up."""
    first, *others = attempts
    for attempt in others:
        if isinstance(attempt.outcome, outcomes.Dead) and attempt.error is not None:
            call_in_place(task.app, task.name, attempt.job.id, attempt.job.options, attempt.error)
    if first.error is None:
        call = partial(callbacks.after_success, task, request, result, runtime)
    else:
        call = partial(_after_failure, task, request, first)
    callbacks.guarded(task, request, call)


def _after_failure(task: "JobTask", request: Context, attempt: Attempt) -> None:
    if attempt.error is None or attempt.failure is None:
        return
    try:
        # Celery looks for the error in `sys.exc_info()`.
        raise attempt.error
    except Exception as exc:  # noqa: BLE001 (it is the one above)
        callbacks.after_failure(task, request, exc, attempt.outcome, attempt.failure)
