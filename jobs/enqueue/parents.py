"""For which job a job is enqueued: it is that one's child, and belongs together with it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from celery._state import get_current_worker_task

from jobs.core import correlation


@dataclass(frozen=True, slots=True)
class Parent:
    """A job, and what the jobs of its request belong together under; neither where there is none."""

    id: uuid.UUID | None = None
    correlation_id: str = ""


#: The job for which jobs are enqueued: unlike Celery's current task it is known in coroutines and their threads too.
_enqueuing: ContextVar[Parent | None] = ContextVar("enqueuing", default=None)


@contextmanager
def enqueuing_for(job_id: uuid.UUID, correlation_id: str) -> Iterator[None]:
    """Let the jobs enqueued meanwhile be children of this job, and belong together with it."""
    token = _enqueuing.set(Parent(job_id, correlation_id or str(job_id)))
    try:
        yield
    finally:
        _enqueuing.reset(token)


def parent_job() -> Parent:
    """Return the job in whose task this code runs; outside of any, the request that it is part of."""
    if (given := _enqueuing.get()) is not None:
        return given
    task = get_current_worker_task()
    job_id = getattr(getattr(task, "request", None), "job_id", None)
    if job_id is None:
        return Parent(correlation_id=correlation.current())
    return Parent(job_id, getattr(task.request, "job_correlation_id", "") or str(job_id))
