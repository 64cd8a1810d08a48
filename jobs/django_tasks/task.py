"""The Celery task of a Django Task: one for each function, under the function's path."""

# Django's own `Task` and `TaskResult` are no generic classes at run time.
from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import shared_task
from django.utils import timezone

from jobs.django_tasks.framework import (
    InvalidTask,
    Task,
    TaskContext,
    TaskError,
    TaskResult,
    TaskResultStatus,
    normalize_json,
    signals,
)
from jobs.django_tasks.priority import ledger_priority
from jobs.django_tasks.result import path_of, read
from jobs.tasks.coroutines import finished
from jobs.tasks.task import JobTask

#: The parameter under which a task's body gets the Celery task; no function of Python's can have one of this name.
_TASK = "__task__"


class DjangoTask(JobTask):
    """A job's task that runs a Django Task, with its context and signals.

    Attributes:
        django_task: the Django Task as its decorator made it.
    """

    abstract = True
    ignore_result = False
    django_task: Task[..., Any]

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Called in the attempt, before the body."""
        result = self.request.task_result = read(task_id, self.django_task)
        self._send(signals.task_started, result)

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Called when the job has succeeded."""
        self._send(signals.task_finished, self._ended(TaskResultStatus.SUCCESSFUL, _return_value=retval))

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called when the job has given up."""
        begun = getattr(self.request, "task_result", None)
        if begun is None:
            # It gave up before its body: its time had passed, or its arguments do not fit.
            begun = self.request.task_result = read(task_id, self.django_task)
        error = TaskError(exception_class_path=path_of(type(exc)), traceback=str(einfo.traceback))
        self._send(signals.task_finished, self._ended(TaskResultStatus.FAILED, errors=[*begun.errors, error]))

    def _ended(self, status: TaskResultStatus, **values: Any) -> TaskResult[Any]:
        result: TaskResult[Any] = self.request.task_result
        for name, value in {"status": status, "finished_at": timezone.now(), **values}.items():
            # Frozen: as the framework's own backends do.
            object.__setattr__(result, name, value)
        return result

    def _send(self, signal: Any, result: TaskResult[Any]) -> None:
        signal.send(sender=type(result.task.get_backend()), task_result=result)


def _plain(value: Any) -> Any:
    """Return what a task returned as the framework has it. Raises TypeError or ValueError where it is no JSON."""
    try:
        return normalize_json(value)
    except (TypeError, ValueError) as exc:
        # Another attempt would return the same.
        exc.permanent = True  # type: ignore[union-attr]
        raise


def register(task: Task[..., Any]) -> None:
    """Have every Celery application know the task. Called for each Django Task that is made: a function has many.

    Raises:
        InvalidTask: another function has this path.
    """
    known = _functions.get(task.module_path)
    if known is not None and known is not task.func:
        raise InvalidTask(f"{task.module_path}: two functions have this path, by which a job names its task.")
    if known is not None:
        return
    _functions[task.module_path] = task.func
    options = {"queue": task.queue_name, "priority": ledger_priority(task.priority), "django_task": task}
    shared_task(base=DjangoTask, name=task.module_path, bind=True, **options)(_body(task))


#: The function of each path.
_functions: dict[str, Callable[..., Any]] = {}


def _body(task: Task[..., Any]) -> Callable[..., Any]:
    """Return what the Celery task runs. Its signature is the function's, without the context."""

    @wraps(task.func)
    def run(self: DjangoTask, *args: Any, **kwargs: Any) -> Any:
        context = (TaskContext(task_result=self.request.task_result),) if task.takes_context else ()
        return _plain(finished(task.func(*context, *args, **kwargs)))

    signature = inspect.signature(task.func)
    parameters = list(signature.parameters.values())[1 if task.takes_context else 0 :]
    own = inspect.Parameter(_TASK, inspect.Parameter.POSITIONAL_ONLY)
    run.__signature__ = signature.replace(parameters=[own, *parameters])  # type: ignore[attr-defined]
    return run
