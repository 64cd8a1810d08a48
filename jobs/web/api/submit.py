"""From a request to jobs: everything is checked, then all of it is enqueued, or nothing."""

import hashlib
import json
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from celery import current_app
from django.db import transaction
from uuid_utils.compat import uuid7

from jobs.errors import EnqueueError
from jobs.models import Job
from jobs.registry import registered
from jobs.task import JobTask
from jobs.web.api.arguments import errors_in
from jobs.web.api.problems import FieldError, Problem, refused
from jobs.web.api.schemas.jobs import JobIn

T = TypeVar("T")

#: Makes a job's id of who asks and their key; nobody else's key leads to the same one.
_KEYS = uuid.UUID("6a2f6f2c-9b7a-4f0e-8a53-1d2f3c5b7e90")

#: The header of a job's message that keeps what was asked for under a key.
BODY_HEADER = "x-idempotency-body"

#: The most errors an answer lists.
MOST_ERRORS = 100


def submit(job: JobIn, *, caller: str, key: str = "") -> tuple[Job, bool]:
    """Enqueue one job.

    Args:
        job: what was asked for.
        caller: who asks; under their key the same job is enqueued once.
        key: the request's Idempotency-Key, if it has one.

    Returns:
        The job, and whether it is a new one.

    Raises:
        Problem: it cannot be enqueued, or the key was used for something else.
    """
    (task,) = _checked([job], at="")
    if not key:
        with transaction.atomic():
            return _enqueued(task, job, uuid7(), {})
    job_id = uuid.uuid5(_KEYS, f"{caller}:{key}")
    digest = _digest(job)
    with transaction.atomic():
        there, new = Job.objects.filter(pk=job_id).first(), False
        if there is None:
            there, new = _enqueued(task, job, job_id, {BODY_HEADER: digest})
    if there.pk == job_id and _digest_of(there) != digest:
        raise Problem(
            HTTPStatus.CONFLICT,
            f"Idempotency-Key {key!r} was used for job {there.pk} with another body; use a new key for a new job.",
        )
    return there, new


def submit_many(jobs: Sequence[JobIn]) -> list[uuid.UUID]:
    """Enqueue many jobs: all of them or none. Returns their ids, in order. Raises Problem as `submit`."""
    tasks = _checked(jobs, at="jobs.")
    groups: dict[Any, list[int]] = {}
    for index, job in enumerate(jobs):
        groups.setdefault(_shared(job), []).append(index)
    ids: list[uuid.UUID] = [uuid.UUID(int=0)] * len(jobs)
    with transaction.atomic():
        for members in groups.values():
            task, options = tasks[members[0]], _options(jobs[members[0]])
            calls = [jobs[index].kwargs for index in members]
            results = _tried(partial(task.delay_many, calls, **options))
            for index, result in zip(members, results, strict=True):
                ids[index] = uuid.UUID(result.id)
    return ids


def _shared(job: JobIn) -> Any:
    """Return what jobs must have in common to be written in one statement."""
    return job.task, job.queue, job.priority, job.run_at, job.unique, job.correlation_id


def _enqueued(task: JobTask, job: JobIn, job_id: uuid.UUID, headers: dict[str, str]) -> tuple[Job, bool]:
    """Enqueue under this id; the job returned is another one where its unique key is taken."""
    result = _tried(
        lambda: task.apply_async((), job.kwargs, task_id=str(job_id), headers=headers, **_options(job)),
    )
    row = Job.objects.get(pk=result.id)
    return row, row.pk == job_id


def _options(job: JobIn) -> dict[str, Any]:
    options = {
        "queue": job.queue,
        "priority": job.priority,
        "eta": job.run_at,
        "unique": job.unique,
        "correlation_id": job.correlation_id,
    }
    return {name: value for name, value in options.items() if value is not None}


def _tried(enqueue: Callable[[], T]) -> T:
    try:
        return enqueue()
    except EnqueueError as exc:
        # What the checks field by field leave: sizes, text that no database holds, times that no calendar has.
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(exc)[:2000]) from exc


def _checked(jobs: Sequence[JobIn], at: str) -> list[JobTask]:
    """Return the task of each job. Raises Problem for tasks that are not public, and for values that are not valid."""
    found: list[JobTask] = []
    errors: list[FieldError] = []
    for index, job in enumerate(jobs):
        prefix = f"{at}{index}." if at else ""
        task = _public(job.task)
        found.append(task)
        errors += errors_in(task, job.kwargs, f"{prefix}kwargs")
        if job.queue is not None and job.queue not in current_app.amqp.queues:
            known = ", ".join(sorted(current_app.amqp.queues))
            errors.append(FieldError(field=f"{prefix}queue", value=job.queue, rule=f"must be one of {known}"))
        if len(errors) >= MOST_ERRORS:
            break
    if errors:
        raise refused(errors[:MOST_ERRORS])
    return found


def _public(name: str) -> JobTask:
    task = registered().get(name)
    if isinstance(task, JobTask) and task.public:
        return task
    known = ", ".join(sorted(name for name, task in registered().items() if getattr(task, "public", False)))
    raise Problem(
        HTTPStatus.FORBIDDEN,
        f"{name!r} is no task that clients may submit. Those they may: {known or 'none'}.",
        [FieldError(field="task", value=name, rule="must name a public task")],
    )


def _digest(job: JobIn) -> str:
    text = json.dumps(job.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _digest_of(job: Job) -> str | None:
    headers: dict[str, str] = (job.options or {}).get("headers") or {}
    return headers.get(BODY_HEADER)
