"""What a person can do to have a task run: one job or many, now or later; dashboard and command line call this.

Clients of the API submit by keys of their own and within their rates (`jobs.api.submit`); the rules are the same.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery import current_app
from django.db import transaction

from jobs.core.queue_names import is_queue_name
from jobs.operations.bulk import record
from jobs.operations.problems import FieldError, shortened
from jobs.tasks.registry import registered
from jobs.tasks.task import JobTask

#: The most jobs of one submission: they are written in one transaction, while somebody waits.
MOST_JOBS = 1_000

#: So many of them are named in the record of the action.
_NAMED = 10


#: What the engine enqueues itself, with arguments that mean nothing to anybody else.
_OF_THE_ENGINE = frozenset({"jobs.accumulate", "jobs.error_link", "jobs.alert", "jobs.alert_test"})


def offered() -> list[JobTask]:
    """Return the tasks that a person may be offered to run, by their names: all jobs but the engine's own."""
    # Under its own name: one that was renamed is registered under the old one too.
    tasks = [task for name, task in sorted(registered().items()) if isinstance(task, JobTask) and task.name == name]
    return [task for task in tasks if is_offered(task)]


def is_offered(task: JobTask) -> bool:
    """Return whether people run a task: not where the engine alone knows what to give it."""
    return task.name not in _OF_THE_ENGINE and not task.name.startswith("celery.")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is said of jobs besides their arguments; None leaves it to the task.

    Attributes:
        run_at: not before this time.
        unique: while a job of the task with this key waits to begin, that one is kept and no other is enqueued.
    """

    run_at: datetime | None = None
    queue: str | None = None
    priority: int | None = None
    unique: str | None = None
    correlation_id: str | None = None

    def options(self) -> dict[str, Any]:
        """Return it as `apply_async` takes it."""
        named = {
            "eta": self.run_at,
            "queue": self.queue,
            "priority": self.priority,
            "unique": self.unique,
            "correlation_id": self.correlation_id,
        }
        return {name: value for name, value in named.items() if value is not None}


def known_queues() -> list[str]:
    """Return the queues that a job can be sent to."""
    return sorted(filter(is_queue_name, current_app.amqp.queues))


def errors_in_queue(name: str | None, at: str = "queue") -> list[FieldError]:
    """Return what is wrong with the queue named for a job: nothing where it is left to the task."""
    known = known_queues()
    if name is None or name in known:
        return []
    return [FieldError(field=at, value=shortened(name), rule=f"must be one of {', '.join(known)}")]


def submit(
    task: JobTask,
    calls: Sequence[Mapping[str, Any]],
    choice: Choice,
    *,
    actor: str,
    ids: Sequence[uuid.UUID] = (),
) -> list[uuid.UUID]:
    """Enqueue a job for each call, all of them or none, and record who did.

    Args:
        task: the task to run.
        calls: the arguments of each job by their names, checked by `arguments.errors_in`.
        choice: what else is said of all of them.
        actor: who asks.
        ids: those of the jobs, where the caller knows them already.

    Returns:
        The jobs' ids, in order. One whose unique key was held is the id of the job that holds it.

    Raises:
        jobs.errors.EnqueueError: what the checks field by field leave, such as sizes; nothing was written.
    """
    options = choice.options()
    given: Sequence[str | None] = [str(job_id) for job_id in ids] or [None] * len(calls)
    with transaction.atomic():
        results = [
            task.apply_async((), dict(kwargs), task_id=job_id, **options)
            for kwargs, job_id in zip(calls, given, strict=True)
        ]
        jobs = [uuid.UUID(result.id) for result in results]
        target: dict[str, Any] = {"task": task.name, "jobs": [str(job_id) for job_id in jobs[:_NAMED]]}
        record("submit", actor, target, len(jobs))
    return jobs
