"""Celery's own tasks as jobs: `celery.map`, `celery.starmap`, `celery.chunks` and `celery.accumulate`.

They stand in the place of those of `celery.app.builtins`, and return the same. `task.map(items)` and
`task.starmap(items)` are one job, which calls the task for each item, one after the other.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from celery import Task, _state
from celery.app import builtins, shared_task
from celery.canvas import chunks, signature
from django.db import transaction

from jobs.compose.attempt_steps import without_steps
from jobs.compose.steps import step
from jobs.core.outcome import RetryIn, Tries, after_error
from jobs.core.retry import RetryPolicy
from jobs.errors import InvalidArguments
from jobs.tasks.calls import JobResult
from jobs.tasks.coroutines import finished
from jobs.tasks.options import Options
from jobs.tasks.routes import placed, route_of
from jobs.tasks.task import JobTask

#: What gives Celery's own to each of its applications.
_CELERYS: Mapping[str, Callable[..., object]] = {
    "celery.map": builtins.add_map_task,
    "celery.starmap": builtins.add_starmap_task,
    "celery.chunks": builtins.add_chunk_task,
    "celery.accumulate": builtins.add_accumulate_task,
}


def _remove_celerys() -> None:
    """Take Celery's own out of its applications: of two tasks with one name these keep the first."""
    for name, add in _CELERYS.items():
        _state._on_app_finalizers.discard(add)  # noqa: SLF001 (Celery has no other way to it)
        for app in _state._get_active_apps():  # noqa: SLF001
            app._tasks.pop(name, None)  # noqa: SLF001 (`app.tasks` would bind all tasks first)


_remove_celerys()


class MappingTask(JobTask):
    """A task that calls another one for each of its items.

    What the other one says of its jobs holds for this one: queue, priority, which errors are tried again, how often and
    how soon, and whether results are kept. Its time limit is that of all items together.

    Attributes:
        is_starred: whether an item is a list of arguments, and not the only one.
    """

    abstract = True
    is_starred = False
    #: The task that is called says which errors are tried again.
    autoretry_for = ()
    time_limit = None
    #: Unless that one says otherwise; nobody has asked it where the call came in a message of another program.
    ignore_result = False

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *more: Any,
        route_name: str | None = None,
        **options: Any,
    ) -> JobResult:
        """Write a job, as `JobTask.apply_async` does. `route_name`, which Celery's canvas passes, is the called task's.

        Raises:
            jobs.errors.EnqueueError: the task is not known or cannot be called for items, or one of these does not fit.
        """
        self.check_arguments(args or (), kwargs or {})
        given = {name: value for name, value in options.items() if value is not None}
        named = self.named_arguments(args or (), kwargs or {})
        alike = _options_like(_task_of(self, named["task"]), len(named["it"]), given)
        return super().apply_async(args, kwargs, *more, **alike)

    def check_arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise InvalidArguments where the task to be called is not known, or could not be called with an item."""
        super().check_arguments(args, kwargs)
        named = self.takes.named(args, kwargs)
        task, items = _task_of(self, named["task"]), named["it"]
        if not isinstance(items, (list, tuple)):
            raise InvalidArguments(f"{self.name}: it={items!r:.100} is not valid: it must be a list of items.")
        for index, item in enumerate(items):
            if self.is_starred and not isinstance(item, (list, tuple)):
                raise InvalidArguments(f"{self.name}: item {index} is {item!r:.100}: it must be a list of arguments.")
            if isinstance(task, JobTask):
                try:
                    task.check_arguments(item if self.is_starred else (item,), {})
                except InvalidArguments as exc:
                    raise InvalidArguments(f"{self.name}: item {index}: {exc}") from None

    def call_for_each(self, named: Any, items: Sequence[Any]) -> list[Any]:
        """Call a task for each item. Returns what it returned, in order; raises what it raised, to be tried again."""
        task = _task_of(self, named)
        try:
            # The names of its steps are for one call.
            with without_steps():
                return [finished(task(*item) if self.is_starred else task(item)) for item in items]
        except Exception as exc:
            policy = replace(task.policy, max_retries=None) if isinstance(task, JobTask) else _NEVER
            outcome = after_error(exc, policy, Tries(self.request.retries + 1), random.random)
            if self.request.is_eager or not isinstance(outcome, RetryIn):
                raise
            raise self.retry(exc=exc, countdown=outcome.delay) from exc


#: Celery tries nothing again by itself.
_NEVER = RetryPolicy(autoretry_for=())


def _task_of(caller: Task, given: Any) -> Task:
    """Return the task that a signature, or its JSON, names. Raises InvalidArguments where it cannot be called so."""
    try:
        task: Task = signature(given, app=caller.app).type
    except (AttributeError, LookupError, TypeError, ValueError):
        raise InvalidArguments(f"{caller.name}: task={given!r:.200} names no task that is known here.") from None
    if getattr(task, "batch", 0):
        raise InvalidArguments(f"{caller.name}: {task.name} takes batches: enqueue its jobs by delay_many().")
    if getattr(task, "redact", ()):
        raise InvalidArguments(
            f"{caller.name}: {task.name} hides arguments or encrypts them, and one job for many items can do neither:"
            " enqueue a job for each by group() or delay_many()."
        )
    return task


def _options_like(task: Task, items: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a job that calls a task so often; those `given` at the call come first."""
    if not isinstance(task, JobTask):
        return {**route_of(task, (), {}), "ignore_result": bool(task.ignore_result), **given}
    queue, priority = placed(task, Options(queue=given.get("queue"), priority=given.get("priority")), (), {})
    own = {"queue": queue, "priority": priority, "max_retries": task.max_retries, "ignore_result": task.ignore_result}
    limit = {} if task.time_limit is None else {"time_limit": task.time_limit * max(1, items)}
    return {**own, **limit, **given}


@shared_task(base=MappingTask, name="celery.map", bind=True)  # type: ignore[untyped-decorator]
def map_items(self: MappingTask, task: Any, it: list[Any]) -> list[Any]:
    """Return what a task returned for each item: `task.map(items)`."""
    return self.call_for_each(task, it)


@shared_task(base=MappingTask, name="celery.starmap", bind=True, is_starred=True)  # type: ignore[untyped-decorator]
def starmap_items(self: MappingTask, task: Any, it: list[Any]) -> list[Any]:
    """Return what a task returned for each list of arguments: `task.starmap(items)`."""
    return self.call_for_each(task, it)


@shared_task(base=MappingTask, name="celery.chunks", bind=True, is_starred=True)  # type: ignore[untyped-decorator]
def enqueue_chunks(self: MappingTask, task: Any, it: list[Any], n: int) -> Any:
    """Enqueue a group of `celery.starmap`, each of `n` items, and return what names its result.

    It is what a message of another program asks for: `task.chunks(items, n)` is that group itself.
    """

    def enqueue() -> Any:
        return chunks.apply_chunks(task, it, n, app=self.app).as_tuple()

    # With the step in one transaction: another attempt finds both or neither.
    with transaction.atomic():
        return step("group", enqueue)


@shared_task(base=JobTask, name="celery.accumulate", ignore_result=False)  # type: ignore[untyped-decorator]
def accumulate(*args: Any, index: int | None = None) -> Any:
    """Return its arguments, or the one at an index."""
    return list(args) if index is None else args[index]
