"""Runs jobs in the pool: prepare, check, run, decide, report. Nothing is written here.

The parent process has claimed what comes here, and records what became of it (`jobs.worker.recorder`). Single jobs,
chunks and batches go the same way: a chunk is a list of calls, and a call runs one job, or several of a batch task.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from celery import Task, current_app
from celery._state import _task_stack
from celery.app.task import Context

from jobs.compose.replacements import canvas_json
from jobs.compose.results import encoded
from jobs.core import outcome as outcomes
from jobs.core.canonical import decode
from jobs.core.outcome import Outcome
from jobs.core.places import is_awaited
from jobs.core.versions import version_of
from jobs.enqueue.parents import enqueuing_for
from jobs.errors import EncryptionError, InvalidArguments
from jobs.ledger.attempts import Failure
from jobs.ledger.claims import Claimed
from jobs.tasks import keys
from jobs.tasks.coroutines import finished
from jobs.tasks.encryption import arguments_of
from jobs.tasks.replacing import Replaced
from jobs.worker import attempt_logs, batches, callbacks, cancelling, observers, sessions
from jobs.worker.contained import contained, ends_process, escaped
from jobs.worker.decision import failure_of, outcome_of
from jobs.worker.followed import result_for_followers
from jobs.worker.misfits import DeadlinePassed, Expired, Misfit, NeedsNewerCode, NoKey, upgraded_here
from jobs.worker.redacted import redacted
from jobs.worker.reports import SUCCEEDED, Report, reports
from jobs.worker.requests import request_of
from jobs.worker.started_flags import started

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask


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


@dataclass(slots=True)
class Run:
    """One call of a task, as it comes along.

    Attributes:
        request: of its first job, as the task sees it.
        result: what the body returned.
        runtime: of the body, in seconds.
    """

    task: "JobTask"
    request: Context
    attempts: Sequence[Attempt]
    result: Any = None
    runtime: float = 0.0

    def arguments(self) -> list[tuple[Sequence[Any], Mapping[str, Any]]]:
        """Return the arguments of all its jobs, and those that were upgraded as they were before."""
        given = [one.given for one in self.attempts if one.given is not None]
        return [(one.args, one.kwargs) for one in self.attempts] + given


def execute(work: Work) -> None:
    """Make the calls of a chunk, and report how each of its jobs ended; what did not begin in time is not reported.

    Raises nothing but what ends the process.
    """
    for call in work.calls:
        # Before the next one begins: whatever that does to this process, what has ended has ended.
        if ended := _make(call, work):
            reports.send(ended)


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
    with _prepared(attempts, work) as run:
        began_at = time.monotonic()
        if ready := [attempt for attempt in attempts if _is_checked(run, attempt)]:
            _run(run, ready)
        for attempt in attempts:
            started.end(attempt.slot)
        run.runtime = time.monotonic() - began_at
        for attempt in attempts:
            _decide(run, attempt)
        found = [_report(run, attempt, work) for attempt in attempts]
        observers.ended(attempts[0].outcome, attempts[0].error)
        if not callbacks.is_told(run):
            callbacks.log(run)
            return found
        # What is called now may hang, or end its process: that must not cost what has ended.
        reports.send(found)
        callbacks.tell(run)
        return []


@contextmanager
def _prepared(attempts: Sequence[Attempt], work: Work) -> Iterator[Run]:
    """Make the attempt's request the current one, read the arguments, and let observers look on."""
    first = attempts[0]
    task: JobTask = current_app.tasks[first.job.task]
    for attempt in attempts:
        try:
            attempt.args, attempt.kwargs = arguments_of(decode(attempt.job.args), decode(attempt.job.kwargs))
        except EncryptionError as exc:
            attempt.error = NoKey(f"The arguments cannot be read. {exc}")
        except Exception as exc:  # noqa: BLE001 (what cannot be read is that job's error)
            attempt.error = exc
    request = request_of(task, first.job, first.args, first.kwargs, work.hostname, work.parent_pid)
    _task_stack.push(task)
    task.request_stack.push(request)
    try:
        with (
            observers.attempt(task, request),
            enqueuing_for(first.job.id, request.job_correlation_id),
            cancelling.running([attempt.slot for attempt in attempts]),
        ):
            yield Run(task, request, attempts)
    finally:
        task.request_stack.pop()
        _task_stack.pop()


def _is_checked(run: Run, attempt: Attempt) -> bool:
    """Return whether a job may run: its time has not passed, its arguments fit. Else its error says why not."""
    if attempt.error is not None:
        return False
    task, request = run.task, run.request
    try:
        if attempt.job.seconds_to_begin <= 0:
            raise Expired("The job's time passed before it could begin.")
        if attempt.job.seconds_left <= 0:
            raise DeadlinePassed("The job's deadline passed before it could begin.")
        if (version := version_of(attempt.job.options)) != task.version:
            _upgrade(run, attempt, version)
        contained(request, partial(task.check_arguments, attempt.args, attempt.kwargs))
        if callable(task.key) or callable(task.tenant):
            contained(request, partial(keys.checked, task, attempt.args, attempt.kwargs))
    except InvalidArguments as exc:
        attempt.error = (Misfit if attempt.is_foreign else NeedsNewerCode)(str(exc))
    except Exception as exc:  # noqa: BLE001 (whatever a check raises is the attempt's error)
        attempt.error = exc
    return attempt.error is None


def _upgrade(run: Run, attempt: Attempt, version: int) -> None:
    attempt.given = attempt.args, attempt.kwargs
    attempt.args, attempt.kwargs = upgraded_here(run.task, run.request, version, *attempt.given)
    if attempt is run.attempts[0]:
        run.request.args, run.request.kwargs = attempt.args, attempt.kwargs


def _run(run: Run, ready: Sequence[Attempt]) -> None:
    """Run the body, and what comes before it. Whatever they raise is the attempts' error."""
    first = ready[0].job
    try:
        with attempt_logs.kept(run.task, first.id, first.attempt, run.arguments()):
            run.result = contained(run.request, partial(_body, run, ready))
    except Exception as exc:  # noqa: BLE001 (whatever the task raised is its jobs' outcome)
        for attempt in ready:
            attempt.error = attempt.error or exc


def _body(run: Run, ready: Sequence[Attempt]) -> Any:
    callbacks.before(run.task, run.request)
    if run.task.batch:
        return batches.call(run.task, ready, partial(_called, run, ready[0].job))
    return _called(run, ready[0].job, ready[0].args, ready[0].kwargs)


def _called(run: Run, job: Claimed, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    task, request = run.task, run.request
    with sessions.of_a_task(), cancelling.with_steps(job, has_steps=not task.batch, encrypt=task.encrypt):
        if type(task).before_start is not Task.before_start:
            task.before_start(request.id, request.args, request.kwargs)
        return finished(task.run(*args, **kwargs))


def _decide(run: Run, attempt: Attempt) -> None:
    """Decide what becomes of a job, and what is kept of its error."""
    if attempt.error is None:
        return
    attempt.outcome = outcome_of(run.task, attempt.error, attempt.job)
    if isinstance(attempt.error, Replaced):
        attempt.replacement = attempt.error
    # One error may be that of all, and tell of any.
    attempt.error = redacted(run.task, attempt.error, run.arguments())
    attempt.failure = failure_of(attempt.error)


def _report(run: Run, attempt: Attempt, work: Work) -> Report:
    """Return what the parent process must know of an attempt's end. What cannot be passed on is no success."""
    text, value, shown, canvas = None, None, "", None
    task, request, job = run.task, run.request, attempt.job
    if isinstance(attempt.outcome, outcomes.Succeeded):
        try:
            canvas = contained(request, partial(canvas_json, attempt.replacement, request.added_to_chord))
            if attempt.error is None:
                text = contained(request, partial(result_for_followers, job.options, run.result))
                if _is_kept(task, job.options):
                    value = contained(request, partial(encoded, run.result, encrypt=task.encrypt))
        except Exception as exc:  # noqa: BLE001 (it is the attempt's error)
            attempt.error = exc
            _decide(run, attempt)
    if attempt.error is None and work.shows_results:
        shown = callbacks.shown_result(task, request, run.result)
    # Celery's Ignore is an error, and a success.
    failure = None if isinstance(attempt.outcome, outcomes.Succeeded) else attempt.failure
    return Report(job.lease_id, attempt.outcome, failure, text, value, run.runtime, shown, canvas)


def _is_kept(task: "JobTask", options: Mapping[str, Any] | None) -> bool:
    """Return whether somebody wants what a job returns: its call or its task says so, or a chord waits for it."""
    return not (options or {}).get("ignore_result", task.ignore_result) or is_awaited(options)
