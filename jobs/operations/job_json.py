"""A job as JSON: the same in the API, in live events and wherever a page hands it out."""

from datetime import UTC, datetime
from typing import Any, TypedDict

from jobs.core.states import State
from jobs.models import Attempt, AttemptLog, Job
from jobs.tasks.redaction import HIDDEN, hidden_names, shown_arguments, without_hidden
from jobs.tasks.registry import registered

#: Arguments are shown so many levels deep: writers of JSON and templates come to their end at some hundred.
DEEPEST = 64

#: Steps shown with a job, the first ones: a task may make one for each row of a table.
STEPS = 100

#: So many pieces of a job's log are shown: what was logged within a quarter of a second is one.
LOGS = 1_000

#: What stands where a value lies deeper.
TOO_DEEP = "[nested too deeply to be shown]"


class JobJson(TypedDict):
    """The fields of a job that are shown outside; times in ISO 8601, UTC."""

    id: str
    task: str
    queue: str
    state: str
    kwargs: dict[str, Any]
    priority: int
    attempt: int
    max_retries: int | None
    run_at: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    worker: str
    last_error: str
    correlation_id: str
    parent_id: str | None
    group_id: str | None
    progress: dict[str, Any] | None
    replay_of: str | None
    held_by: str | None


def job_json(job: Job) -> JobJson:
    """Return a job, its arguments by name and redacted."""
    return JobJson(
        id=str(job.pk),
        task=job.task,
        queue=job.queue,
        state=job.state,
        kwargs=named_arguments(job.task, job.args, job.kwargs),
        priority=job.priority,
        attempt=job.attempt,
        max_retries=job.max_retries,
        run_at=time_json(job.run_at),
        created_at=time_json(job.created_at),
        started_at=maybe_time_json(job.started_at),
        finished_at=maybe_time_json(job.finished_at),
        worker=job.worker,
        last_error=job.last_error,
        correlation_id=job.correlation_id,
        parent_id=None if job.parent_id is None else str(job.parent_id),
        group_id=None if job.group_id is None else str(job.group_id),
        progress=job.progress,
        replay_of=None if job.replay_of is None else str(job.replay_of),
        held_by=job.held_back or None,
    )


def shown_result(job: Job) -> Any:
    """Return what a job's task returned, as people may see it: a task that hides arguments may have made it of them."""
    if job.result is None or job.state != State.SUCCEEDED:
        return None
    return HIDDEN if hidden_names(job.task) else _within(job.result, DEEPEST)


def attempt_json(attempt: Attempt) -> dict[str, Any]:
    """Return a failed attempt."""
    return {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "error_type": attempt.error_type,
        "error": attempt.error,
        "traceback": attempt.traceback,
        "worker": attempt.worker,
        "started_at": maybe_time_json(attempt.started_at),
        "finished_at": time_json(attempt.finished_at),
    }


def steps_json(job: Job) -> list[dict[str, Any]]:
    """Return what a job's task has done, in order; its names and results as people may see them."""
    hides = bool(hidden_names(job.task))
    return [
        {
            "number": step.number,
            "name": without_hidden(job.task, job.args, job.kwargs, step.name),
            "attempt": step.attempt,
            "value": HIDDEN if hides and step.value is not None else _within(step.value, DEEPEST),
            "rows_done": step.rows_done,
            "is_complete": step.is_complete,
            "started_at": time_json(step.started_at),
            "finished_at": time_json(step.finished_at),
        }
        for step in job.steps.all()[:STEPS]
    ]


def logs_json(job: Job) -> list[dict[str, Any]]:
    """Return what a job's attempts logged, the earliest first."""
    return [log_json(log) for log in job.logs.all()[:LOGS]]


def log_json(log: AttemptLog) -> dict[str, Any]:
    """Return a piece of an attempt's log."""
    return {"attempt": log.number, "at": time_json(log.at), "text": log.text}


def named_arguments(task_name: str, args: list[Any] | None, kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """Return all arguments as people may see them, positional ones under their names.

    What lies deeper than `DEEPEST` levels is left out. One without a name, since its task is unknown here or takes
    fewer, stands under its position: `"0"`.
    """
    shown_args, shown_kwargs = shown_arguments(task_name, args, kwargs)
    signature = getattr(registered().get(task_name), "takes", None)
    names = list(signature.parameters) if signature else []
    positional = {names[index] if index < len(names) else str(index): value for index, value in enumerate(shown_args)}
    return {name: _within(value, DEEPEST) for name, value in {**positional, **shown_kwargs}.items()}


def _within(value: Any, depth: int) -> Any:
    """Return a value so many levels deep."""
    if not isinstance(value, (dict, list)) or not value:
        return value
    if not depth:
        return TOO_DEEP
    if isinstance(value, dict):
        return {name: _within(item, depth - 1) for name, item in value.items()}
    return [_within(item, depth - 1) for item in value]


def time_json(value: datetime) -> str:
    """Return a time in ISO 8601, UTC, as browsers and programs read it."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def maybe_time_json(value: datetime | None) -> str | None:
    """Return a time as `time_json` does, or None."""
    return None if value is None else time_json(value)
