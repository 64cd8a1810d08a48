"""What Celery calls around a body besides it: signals, the task's handlers, the result backend, its log.

As its own tracer does (`celery.app.trace`), but for what nobody listens to: that costs more than most bodies.
"""

import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import Task, signals, states
from celery.app.task import Context
from celery.app.trace import LOG_RETRY, LOG_SUCCESS, TraceInfo, get_log_policy, traceback_clear
from celery.backends.base import DisabledBackend
from celery.exceptions import MaxRetriesExceededError, Retry
from celery.fixups.django import DjangoWorkerFixup
from celery.utils.saferepr import saferepr

from jobs.compose.backend import LedgerBackend
from jobs.compose.followers import call_in_place, in_place
from jobs.core import described, outcome as outcomes
from jobs.core.outcome import Outcome
from jobs.ledger.attempts import Failure
from jobs.worker.contained import ends_process
from jobs.worker.log_lines import say

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask
    from jobs.worker.executor import Run

logger = logging.getLogger("celery.app.trace")


class Listeners:
    """Who listens to one of Celery's signals, besides those that look after the connections of plain tasks."""

    def __init__(self, signal: Any) -> None:
        self._signal = signal
        self._known = -1
        self._found = False

    def __bool__(self) -> bool:
        receivers = self._signal.receivers or ()
        if len(receivers) != self._known:
            self._known = len(receivers)
            self._found = any(not _is_of_connections(key, receiver) for key, receiver in receivers)
        return self._found


def _is_of_connections(key: Any, receiver: Any) -> bool:
    if key[0] == "jobs.sessions":
        return True
    # Signals hold most of their receivers weakly.
    called = receiver() if isinstance(receiver, weakref.ref) else receiver
    return isinstance(getattr(called, "__self__", called), DjangoWorkerFixup)


#: Results of these types say themselves what they are.
_PLAIN = frozenset({type(None), bool, int, float, str})

_prerun, _postrun = Listeners(signals.task_prerun), Listeners(signals.task_postrun)


def before(task: "JobTask", request: Context) -> None:
    """Call what wants to know that an attempt begins."""
    if _prerun:
        signals.task_prerun.send(sender=task, task_id=request.id, task=task, args=request.args, kwargs=request.kwargs)


def _keeps_elsewhere(task: "JobTask") -> bool:
    """Return whether results are kept outside of the ledger as well."""
    return not isinstance(task.backend, (DisabledBackend, LedgerBackend))


def has_any(task: "JobTask", request: Context, outcome: Outcome, result: Any) -> bool:
    """Return whether code of others is to be called after an attempt: that may hang, or end the process."""
    kind = type(task)
    if _postrun or _keeps_elsewhere(task):
        return True
    match outcome:
        case outcomes.Succeeded():
            return bool(
                signals.task_success.receivers
                or kind.on_success is not Task.on_success
                or kind.after_return is not Task.after_return
                # To be shown in the log it is asked for its own words.
                or (type(result) not in _PLAIN and logger.isEnabledFor(logging.INFO))
            )
        case outcomes.RetryIn() | outcomes.Snoozed():
            return bool(signals.task_retry.receivers or kind.on_retry is not Task.on_retry)
        case outcomes.Dead():
            return bool(
                signals.task_failure.receivers
                or kind.on_failure is not Task.on_failure
                or kind.after_return is not Task.after_return
                or request.errbacks
            )
    return False


def after_success(task: "JobTask", request: Context, result: Any, runtime: float) -> None:
    """Call what wants to know of a success."""
    try:
        _tell_of_success(task, request, result, runtime)
    finally:
        _after(task, request, result, states.SUCCESS)


def _tell_of_success(task: "JobTask", request: Context, result: Any, runtime: float) -> None:
    if _keeps_elsewhere(task):
        keeps = not task.ignore_result
        task.backend.mark_as_done(request.id, result, request, keeps)
    if signals.task_success.receivers:
        signals.task_success.send(sender=task, result=result)
    log_success(task, request, result, runtime)
    if type(task).on_success is not Task.on_success:
        task.on_success(result, request.id, request.args, request.kwargs)
    if type(task).after_return is not Task.after_return:
        task.after_return(states.SUCCESS, result, request.id, request.args, request.kwargs, None)


def log_success(task: "JobTask", request: Context, result: Any, runtime: float) -> None:
    """Write Celery's line of a success."""
    if logger.isEnabledFor(logging.INFO):
        shown = {"id": request.id, "name": request.shadow or task.name, "runtime": runtime}
        shown |= {"args": request.argsrepr, "kwargs": request.kwargsrepr}
        say(logger, logging.INFO, LOG_SUCCESS, {**shown, "return_value": shown_result(task, request, result)})


def after_failure(task: "JobTask", request: Context, error: Exception, outcome: Outcome, failure: Failure) -> None:
    """Call what wants to know of an attempt that did not succeed. `error` is being handled."""
    # The others are enqueued with the outcome.
    request.errbacks = in_place(task.app, request.errbacks)
    state, error = _as_celery_has_it(error, outcome, failure)
    if not state:
        _after(task, request, error, "IGNORED")
        return
    try:
        info = TraceInfo(state, error).handle_error_state(task, request, eager=False, call_errbacks=True)
        if state == states.FAILURE and type(task).after_return is not Task.after_return:
            task.after_return(state, error, request.id, request.args, request.kwargs, info)
    finally:
        _after(task, request, error, state)


def _as_celery_has_it(error: Exception, outcome: Outcome, failure: Failure) -> tuple[str, Exception]:
    """Return Celery's state for an outcome, empty where it has none, and the error that it would show."""
    match outcome:
        case outcomes.RetryIn(delay) | outcomes.Snoozed(delay):
            return states.RETRY, Retry(message=failure.summary, exc=error, when=delay)
        case outcomes.Dead() if isinstance(error, Retry):
            cause = error.exc if isinstance(error.exc, Exception) else None
            return states.FAILURE, cause or MaxRetriesExceededError(failure.summary)
        case outcomes.Dead():
            return states.FAILURE, error
    return "", error


@dataclass(frozen=True, slots=True)
class _Shown:
    """What Celery asks of an error to choose how to log it."""

    internal: bool = False


def log_failure(task: "JobTask", request: Context, error: Exception, outcome: Outcome, failure: Failure) -> None:
    """Write Celery's line of an attempt that did not succeed, where nobody else is told of it.

    The traceback is in words already, in `failure`; to make it once more would cost more than all the rest.
    """
    name = request.shadow or task.name
    if isinstance(outcome, outcomes.RetryIn | outcomes.Snoozed):
        if logger.isEnabledFor(logging.INFO):
            # Celery's `Retry` would be made for its words alone, and these are they.
            say(logger, logging.INFO, LOG_RETRY, {"id": request.id, "name": name, "exc": failure.summary})
    elif isinstance(outcome, outcomes.Dead):
        _, error = _as_celery_has_it(error, outcome, failure)
        policy = get_log_policy(task, _Shown(), error)
        if not logger.isEnabledFor(policy.severity):
            return
        shown = {"hostname": request.hostname, "id": request.id, "name": name, "exc": described.shown(error)}
        shown |= {"traceback": failure.traceback, "args": request.argsrepr, "kwargs": request.kwargsrepr}
        shown |= {"description": policy.description, "internal": False}
        raised = (type(error), error, error.__traceback__) if policy.traceback else None
        traceback = failure.traceback.rstrip("\n") if raised else None
        say(logger, policy.severity, policy.format.strip(), shown, data=shown, exc_info=raised, exc_text=traceback)
    # As Celery does: frames and errors that hold each other are kept for long.
    traceback_clear(error)


def _after(task: "JobTask", request: Context, returned: Any, state: str) -> None:
    if _postrun:
        signals.task_postrun.send(
            sender=task,
            task_id=request.id,
            task=task,
            args=request.args,
            kwargs=request.kwargs,
            retval=returned,
            state=state,
        )


def shown_result(task: "JobTask", request: Context, result: Any) -> str:
    """Return a result as logs and events show it, by its type alone where it cannot be shown.

    What a task hides, its result may be made of: then nothing is shown (`resultrepr_maxsize`).
    """
    if result is None and task.resultrepr_maxsize:
        # Most tasks return nothing, and Celery's way of showing that costs as much as the record it stands in.
        return "None"
    try:
        return str(saferepr(result, task.resultrepr_maxsize))
    except BaseException as exc:
        if ends_process(exc, request.parent_pid):
            raise
        return f"<{type(result).__qualname__}>"


def is_told(run: "Run") -> bool:
    """Return whether somebody else's code is called after a call of a task."""
    return any(
        has_any(run.task, run.request, attempt.outcome, run.result)
        or (isinstance(attempt.outcome, outcomes.Dead) and bool((attempt.job.options or {}).get("link_error")))
        for attempt in run.attempts
    )


def log(run: "Run") -> None:
    """Write Celery's line of a call of which nobody else is told."""
    first = run.attempts[0]
    if first.error is None:
        log_success(run.task, run.request, run.result, run.runtime)
    elif first.failure is not None:
        _guarded(run, partial(log_failure, run.task, run.request, first.error, first.outcome, first.failure))


def tell(run: "Run") -> None:
    """Call what else wants to know, once for the call, and the error links of each job that gave up."""
    first, *others = run.attempts
    for attempt in others:
        if isinstance(attempt.outcome, outcomes.Dead) and attempt.error is not None:
            call_in_place(run.task.app, run.task.name, attempt.job.id, attempt.job.options, attempt.error)
    if first.error is None:
        _guarded(run, partial(after_success, run.task, run.request, run.result, run.runtime))
    elif first.failure is not None:
        _guarded(run, partial(_tell_of_failure, run, first.error, first.outcome, first.failure))


def _tell_of_failure(run: "Run", error: Exception, outcome: Outcome, failure: Failure) -> None:
    try:
        # Celery looks for the error in `sys.exc_info()`.
        raise error
    except Exception as exc:  # noqa: BLE001 (it is the one above)
        after_failure(run.task, run.request, exc, outcome, failure)


def _guarded(run: "Run", call: Callable[[], None]) -> None:
    """Call one of these. What is raised there changes nothing any more: it is only logged."""
    try:
        call()
    except BaseException as exc:
        if ends_process(exc, run.request.parent_pid):
            raise
        logger.error(
            "%s[%s] has ended; what was raised after that is only logged: %s",
            run.task.name,
            run.request.id,
            described.shown(exc),
        )
