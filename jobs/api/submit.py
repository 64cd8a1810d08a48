"""From a request to jobs: everything is checked, then all of it is enqueued, or nothing."""

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeVar

from django.db import transaction
from uuid_utils.compat import uuid7

from jobs.api.schemas.jobs import JobIn
from jobs.core.digests import digests
from jobs.enqueue.message import IDEMPOTENCY_HEADER
from jobs.errors import EnqueueError
from jobs.models import Job
from jobs.operations import rates
from jobs.operations.arguments import errors_in
from jobs.operations.problems import MOST_ERRORS, FieldError, Problem, refused
from jobs.operations.submissions import errors_in_queue
from jobs.tasks.registry import registered
from jobs.tasks.task import JobTask
from jobs.tasks.uniqueness import is_secret, unique_text

T = TypeVar("T")

#: Makes a job's id of who asks and their key; nobody else's key leads to the same one.
_KEYS = uuid.UUID("6a2f6f2c-9b7a-4f0e-8a53-1d2f3c5b7e90")


def submit(job: JobIn, *, caller: str, key: str = "") -> tuple[Job, bool]:
    """Enqueue one job.

    Args:
        job: what was asked for.
        caller: who asks; under their key the same job is enqueued once.
        key: the request's Idempotency-Key, if it has one.

    Returns:
        The job, and whether it is a new one.

    Raises:
        Problem: it cannot be enqueued, is one too many, or the key was used for something else.
    """
    (task,) = _checked([job], at="")
    if not key:
        rates.spend_submissions(caller, [task])
        with transaction.atomic():
            return _enqueued(task, job, caller, uuid7(), {})
    job_id = uuid.uuid5(_KEYS, f"{caller}:{key}")
    known = _digests(job)
    with transaction.atomic():
        there, new = Job.objects.filter(pk=job_id).first(), False
        if there is None:
            rates.spend_submissions(caller, [task])
            there, new = _enqueued(task, job, caller, job_id, {IDEMPOTENCY_HEADER: known[0]})
    if there.pk == job_id and _digest_of(there) not in known:
        raise Problem(
            HTTPStatus.CONFLICT,
            f"Idempotency-Key {key!r} was used for job {there.pk} with another body; use a new key for a new job.",
        )
    return there, new


def submit_many(jobs: Sequence[JobIn], *, caller: str) -> list[uuid.UUID]:
    """Enqueue many jobs: all of them or none. Returns their ids, in order. Raises Problem as `submit`."""
    tasks = _checked(jobs, at="jobs.")
    groups: dict[Any, list[int]] = {}
    options = [_options(task, job, caller) for task, job in zip(tasks, jobs, strict=True)]
    for index, job in enumerate(jobs):
        # What jobs must have in common to be written in one statement.
        groups.setdefault((job.task, *options[index].items()), []).append(index)
    rates.spend_submissions(caller, tasks)
    ids: list[uuid.UUID] = [uuid.UUID(int=0)] * len(jobs)
    with transaction.atomic():
        for members in groups.values():
            calls = [jobs[index].kwargs for index in members]
            results = _tried(partial(tasks[members[0]].delay_many, calls, **options[members[0]]))
            for index, result in zip(members, results, strict=True):
                ids[index] = uuid.UUID(result.id)
    return ids


def _enqueued(task: JobTask, job: JobIn, caller: str, job_id: uuid.UUID, headers: dict[str, str]) -> tuple[Job, bool]:
    """Enqueue under this id; the job returned is another one where its unique key is taken."""
    options = _options(task, job, caller)
    result = _tried(lambda: task.apply_async((), job.kwargs, task_id=str(job_id), headers=headers, **options))
    row = Job.objects.get(pk=result.id)
    return row, row.pk == job_id


def _options(task: JobTask, job: JobIn, caller: str) -> dict[str, Any]:
    options = {
        "queue": job.queue,
        "priority": job.priority,
        "eta": job.run_at,
        "unique": _unique(task, job, caller),
        "correlation_id": job.correlation_id,
    }
    return {name: value for name, value in options.items() if value is not None}


def _unique(task: JobTask, job: JobIn, caller: str) -> str | bool | None:
    """Return by what a job is unique.

    A client's key is the client's own, as its idempotency keys are: under another one's it would be answered with that
    one's job. So is a key made of what the task hides, or the answer would say whether somebody else gave the same.
    """
    if not isinstance(job.unique, str) and not is_secret(task, job.unique):
        return job.unique
    text = _tried(lambda: unique_text(task, (), job.kwargs, job.unique))
    return job.unique if text is None else f"{caller}:{text}"


def _tried(enqueue: Callable[[], T]) -> T:
    try:
        return enqueue()
    except EnqueueError as exc:
        # What the checks field by field leave: sizes, text that no database holds, times that no calendar has.
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(exc)[:2000]) from exc


def _checked(jobs: Sequence[JobIn], at: str) -> list[JobTask]:
    """Return the task of each job. Raises Problem for tasks that are not public, and for values that are not valid."""
    tasks = [public(job.task) for job in jobs]
    errors = list(islice(_errors(jobs, tasks, at), MOST_ERRORS + 1))
    if errors:
        raise refused(errors)
    return tasks


def _errors(jobs: Sequence[JobIn], tasks: Sequence[JobTask], at: str) -> Iterator[FieldError]:
    for index, (job, task) in enumerate(zip(jobs, tasks, strict=True)):
        prefix = f"{at}{index}." if at else ""
        yield from errors_in(task, job.kwargs, f"{prefix}kwargs")
        yield from errors_in_queue(job.queue, f"{prefix}queue")


def public(name: str) -> JobTask:
    """Return a task that clients may give arguments to. Raises Problem for any other."""
    task = registered().get(name)
    if isinstance(task, JobTask) and task.public:
        return task
    known = ", ".join(sorted({task.name for task in registered().values() if getattr(task, "public", False)}))
    raise Problem(
        HTTPStatus.FORBIDDEN,
        f"{name!r} is no task that clients may submit. Those they may: {known or 'none'}.",
        [FieldError(field="task", value=name, rule="must name a public task")],
    )


def _digests(job: JobIn) -> tuple[str, ...]:
    """Return the digest of a request, and those that it may have been given by an earlier key, or by none at all."""
    text = json.dumps(job.model_dump(mode="json"), sort_keys=True)
    # Jobs enqueued before digests had a key are in the ledger for as long as their tasks keep them.
    return *digests("idempotency", text), hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _digest_of(job: Job) -> str | None:
    headers: dict[str, str] = (job.options or {}).get("headers") or {}
    return headers.get(IDEMPOTENCY_HEADER)
