"""The backend: each `.enqueue()` is a row of the ledger, written in the caller's transaction."""

# Django's own `Task` and `TaskResult` are no generic classes at run time.
from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from celery import current_app

from jobs.core.queue_names import RULE, is_queue_name
from jobs.django_tasks.framework import (
    BaseTaskBackend,
    ImmediateBackend,
    InvalidTask,
    InvalidTaskBackend,
    Task,
    TaskResult,
    TaskResultStatus,
    signals,
)
from jobs.django_tasks.priority import ledger_priority
from jobs.django_tasks.result import HEADER, find, header_of, read
from jobs.django_tasks.task import register

#: What OPTIONS may say, for every job of the backend: the names and meanings of `apply_async`.
CALL_OPTIONS = frozenset({"max_retries", "time_limit", "soft_time_limit", "expires"})


class LedgerBackend(BaseTaskBackend):
    """Runs Django Tasks as jobs: in workers, under a lease, with retries, dead letters and all that shows them.

        TASKS = {"default": {"BACKEND": "jobs.django_tasks.LedgerBackend", "QUEUES": [], "OPTIONS": {"max_retries": 2}}}

    QUEUES as in Django: which queues tasks may name, and none for any that a worker knows. OPTIONS may say
    `max_retries`, `time_limit`, `soft_time_limit` and `expires` of every job of the backend; durations in seconds. What
    they do not say is as `@job` has it.

    Raises:
        InvalidTaskBackend: OPTIONS says something else, or QUEUES names what can be no queue.
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self._params = params
        self._call_options = self.options
        if unknown := sorted(self.options.keys() - CALL_OPTIONS):
            raise InvalidTaskBackend(
                f"TASKS[{alias!r}]: OPTIONS has no {', '.join(unknown)}. It takes: {', '.join(sorted(CALL_OPTIONS))}."
            )
        for queue in self.queues:
            if not is_queue_name(queue):
                raise InvalidTaskBackend(f"TASKS[{alias!r}]: QUEUES names {queue!r}: a queue's name must be {RULE}.")

    def validate_task(self, task: Task[..., Any]) -> None:
        """Check a task, and have Celery know it: Django calls this for each one that is made.

        Raises:
            InvalidTask: no job can run it.
        """
        super().validate_task(task)
        if not is_queue_name(task.queue_name):
            raise InvalidTask(f"{task.module_path}: queue_name={task.queue_name!r} is not valid: it must be {RULE}.")
        if inspect.isgeneratorfunction(task.func) or inspect.isasyncgenfunction(task.func):
            raise InvalidTask(f"{task.module_path} is a generator function, whose body nobody would run.")
        register(task)

    def enqueue(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult[Any]:
        """Write a job in the caller's transaction; it is dispatched when that commits.

        With CELERY_TASK_ALWAYS_EAGER the task runs at once, as with Django's ImmediateBackend, and there is no job.

        Raises:
            InvalidTask: the task, or its queue, is not one of this backend.
            TypeError: an argument is no JSON.
            jobs.errors.EnqueueError: the arguments do not fit the function, are too large, or nobody knows the queue.
        """
        self.validate_task(task)
        if current_app.conf.task_always_eager:
            at_once = ImmediateBackend(self.alias, self._params)
            return at_once.enqueue(replace(task, run_after=None), args, kwargs)
        plain = _plain(task, args, kwargs)
        job = current_app.tasks[task.module_path].apply_async(
            plain.args,
            plain.kwargs,
            queue=task.queue_name,
            priority=ledger_priority(task.priority),
            eta=task.run_after,
            headers={HEADER: header_of(task)},
            **self._call_options,
        )
        result = read(job.id, task)
        signals.task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> TaskResult[Any]:
        """Return a result as the ledger has it now. Raises TaskResultDoesNotExist where this backend has none."""
        return find(result_id, self.alias)


def _plain(task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult[Any]:
    """Return a result whose arguments the framework has made plain JSON. Raises TypeError where they are none."""
    return TaskResult(
        task=task,
        id="",
        status=TaskResultStatus.READY,
        enqueued_at=None,
        started_at=None,
        last_attempted_at=None,
        finished_at=None,
        args=list(args),
        kwargs=dict(kwargs),
        backend=task.backend,
        errors=[],
        worker_ids=[],
    )
