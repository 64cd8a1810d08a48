"""A job as the result of a Django Task."""

# Django's own `Task` and `TaskResult` are no generic classes at run time.
from __future__ import annotations

import uuid
from copy import copy
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from celery import current_app
from django.apps import apps

from jobs.compose.results import class_of
from jobs.core.states import State
from jobs.django_tasks.framework import Task, TaskError, TaskResult, TaskResultDoesNotExist, TaskResultStatus

if TYPE_CHECKING:
    from jobs.models import Attempt, Job

#: The header of a job's message that keeps what a job has no column for: the backend's alias, the priority as it was
#: given, and `run_after`, which a retry would change.
HEADER = "django_task"

STATUS = {
    State.SCHEDULED: TaskResultStatus.READY,
    State.QUEUED: TaskResultStatus.READY,
    State.RETRYING: TaskResultStatus.READY,
    State.RUNNING: TaskResultStatus.RUNNING,
    State.SUCCEEDED: TaskResultStatus.SUCCESSFUL,
    State.DEAD: TaskResultStatus.FAILED,
    State.CANCELLED: TaskResultStatus.FAILED,
}


def header_of(task: Task[..., Any]) -> dict[str, Any]:
    """Return what a job's message carries of a Django Task."""
    run_after = task.run_after and task.run_after.isoformat()
    return {"backend": task.backend, "priority": task.priority, "run_after": run_after}


def find(result_id: str, alias: str) -> TaskResult[Any]:
    """Return the result of a job that was enqueued through the backend with this alias.

    Raises:
        TaskResultDoesNotExist: there is none under this id, or not any more, or it is another backend's.
    """
    job = _job(result_id)
    header = _header(job)
    if header is None or header["backend"] != alias:
        raise TaskResultDoesNotExist(f"{result_id}: the job is of {job.task}, not of the task backend {alias!r}.")
    return result_of(job, declared(job.task))


def read(result_id: str, task: Task[..., Any]) -> TaskResult[Any]:
    """Return the result of a job of this Django Task. Raises TaskResultDoesNotExist where there is none."""
    return result_of(_job(result_id), task)


def _job(result_id: str) -> Job:
    jobs = apps.get_model("jobs", "Job").objects
    try:
        job: Job | None = jobs.filter(pk=uuid.UUID(str(result_id))).first()
    except ValueError:
        job = None
    if job is None:
        raise TaskResultDoesNotExist(f"{result_id}: there is no job with this id, or not any more.")
    return job


def _header(job: Job) -> dict[str, Any] | None:
    header: dict[str, Any] | None = ((job.options or {}).get("headers") or {}).get(HEADER)
    return header


def declared(path: str) -> Task[..., Any]:
    """Return the Django Task with this path. Raises ImportError where its module has none, or is not there."""
    if path not in current_app.tasks:
        import_module(path.rpartition(".")[0])
    task: Task[..., Any] | None = getattr(current_app.tasks.get(path), "django_task", None)
    if task is None:
        raise ImportError(f"{path} is no Django Task any more.")
    return task


def result_of(job: Job, task: Task[..., Any]) -> TaskResult[Any]:
    """Return a job as the result of the Django Task with which it was enqueued."""
    failed = list(job.attempts.exclude(outcome="refused").order_by("number", "id")) if job.attempt else []
    # An attempt that ended well, or has not ended, has no row.
    workers = [attempt.worker for attempt in failed]
    if job.state in {State.RUNNING, State.SUCCEEDED}:
        workers.append(job.worker)
    as_enqueued = _as_enqueued(task, job)
    result: TaskResult[Any] = TaskResult(
        task=as_enqueued,
        id=str(job.pk),
        status=STATUS[State(job.state)],
        enqueued_at=job.created_at,
        started_at=failed[0].started_at if failed else job.started_at,
        last_attempted_at=job.started_at,
        finished_at=job.finished_at,
        args=job.args,
        kwargs=job.kwargs,
        backend=as_enqueued.backend,
        errors=[_error(attempt) for attempt in failed],
        worker_ids=workers,
    )
    if job.state == State.SUCCEEDED:
        object.__setattr__(result, "_return_value", job.result)
    return result


def _as_enqueued(task: Task[..., Any], job: Job) -> Task[..., Any]:
    """Return the Django Task as `using()` had made it.

    `using()` itself would check it against the settings of today, which may forbid the queue of yesterday.
    """
    header = _header(job) or header_of(task)
    run_after = header["run_after"] and datetime.fromisoformat(header["run_after"])
    made = copy(task)
    values = {"priority": header["priority"], "backend": header["backend"]}
    for name, value in {**values, "queue_name": job.queue, "run_after": run_after}.items():
        object.__setattr__(made, name, value)
    return made


def _error(attempt: Attempt) -> TaskError:
    path = ".".join(class_of(attempt.error_type, attempt.traceback))
    return TaskError(exception_class_path=path, traceback=attempt.traceback)


def path_of(kind: type) -> str:
    """Return the path under which a class can be imported."""
    return f"{kind.__module__}.{kind.__qualname__}"
