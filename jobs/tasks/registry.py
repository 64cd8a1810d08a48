"""The tasks known here. Servers and workers import them at their start, other processes when they are first asked."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from celery import current_app


def registered() -> Mapping[str, Any]:
    """Return every task by its name, those of all apps' `tasks` modules included."""
    _import_once()
    tasks: Mapping[str, Any] = current_app.tasks
    return tasks


@cache
def _import_once() -> None:
    current_app.loader.import_default_modules()


def may_have_jobs(name: str) -> bool:
    """Return whether there may be jobs of a registered task: of Celery's own, some are jobs and some are not."""
    return not name.startswith("celery.") or hasattr(registered()[name], "check_arguments")


def present_name(name: str) -> str:
    """Return the name that a task has now, by this one or one that it had before; of an unknown task, its own."""
    task: Any = registered().get(name)
    return task.name if hasattr(task, "aliases") else name


def names_of(name: str) -> list[str]:
    """Return all names of the task that has or had this one: the present first. Its jobs may be of any of them."""
    task: Any = registered().get(name)
    return [task.name, *task.aliases] if hasattr(task, "aliases") else [name]
