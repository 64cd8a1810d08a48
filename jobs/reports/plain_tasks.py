"""The project's plain Celery tasks (`@shared_task`, `@app.task`), and what each of them says of itself."""

import ast
import inspect
import sysconfig
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from celery import Task

from jobs.tasks.registry import registered

#: What Celery itself writes into the class of a task.
_BOOKKEEPING = frozenset(
    {
        *("app", "name", "run", "request_stack", "autoregister", "abstract", "typing", "pydantic"),
        *("Request", "Strategy"),
    }
)

#: Where other people's packages are installed: nobody changes their tasks.
_INSTALLED = tuple(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib"))

#: The settings that a task takes where it says nothing.
_OF_SETTINGS: Mapping[str, str] = dict(Task.from_config)


@dataclass(frozen=True)
class PlainTask:
    """A task that is not a job yet.

    Attributes:
        task: the task, as Celery has it.
    """

    task: Task

    @property
    def name(self) -> str:
        """The task's name, which its messages bear."""
        return str(self.task.name)

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The function below the decorator, and below Celery's own automatic retry."""
        function: Callable[..., Any] = inspect.unwrap(getattr(self.task, "_decorated_fun", None) or self.task.run)
        return function

    @property
    def where(self) -> str:
        """The function's module and line."""
        line = inspect.getsourcelines(self.function)[1] if inspect.isroutine(self.function) else 1
        return f"{self.function.__module__}:{line}"

    @property
    def is_bound(self) -> bool:
        """Whether its function takes the task itself first."""
        return not isinstance(inspect.getattr_static(type(self.task), "run"), staticmethod)

    @property
    def is_class(self) -> bool:
        """Whether it is a class of its own and no decorated function."""
        return not getattr(type(self.task), "_decorated", False)

    @property
    def takes_pydantic(self) -> bool:
        """Whether its arguments are validated by Pydantic."""
        return getattr(self.task, "_dump_pydantic_arguments", None) is not None

    @property
    def is_named(self) -> bool:
        """Whether its name is not the one that its function gives it."""
        return self.name != str(self.task.app.gen_task_name(self.function.__name__, self.function.__module__))

    @cached_property
    def said(self) -> dict[str, Any]:
        """What the declaration says, or a class of the project's that it names as its base: values by option."""
        declared: dict[str, Any] = {}
        for cls in reversed([type(self.task), *self.bases]):
            declared |= {name: value for name, value in vars(cls).items() if self._is_option(name, value)}
        return declared

    @cached_property
    def bases(self) -> list[type]:
        """The classes of the project's among the task's own, the nearest first."""
        return [cls for cls in type(self.task).__mro__[1:] if not cls.__module__.startswith(("celery.", "builtins"))]

    @cached_property
    def called(self) -> set[str]:
        """The names of the methods that its body calls, such as `retry`; none where there is no source."""
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(self.function)))
        except (OSError, SyntaxError):
            return set()
        calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
        return {call.attr for call in calls if isinstance(call, ast.Attribute)}

    def _is_option(self, name: str, value: Any) -> bool:
        if name.startswith("_") or name in _BOOKKEEPING or (callable(value) and not isinstance(value, type)):
            return False
        if isinstance(value, (property, staticmethod, classmethod, cached_property)):
            return False
        if name in ("acks_on_failure", "acks_on_timeout"):
            return value is False
        return name not in _OF_SETTINGS or bool(value != self.task.app.conf[_OF_SETTINGS[name]])


def plain_tasks() -> list[PlainTask]:
    """Return the project's tasks that are not jobs, by name; not Celery's own and those of installed packages."""
    plain = (PlainTask(task) for _, task in sorted(registered().items()) if not hasattr(task, "check_arguments"))
    return [one for one in plain if _is_the_projects(one.function)]


def _is_the_projects(function: Callable[..., Any]) -> bool:
    file = inspect.getsourcefile(function) if inspect.isroutine(function) else inspect.getsourcefile(type(function))
    return file is not None and not any(Path(file).is_relative_to(place) for place in _INSTALLED)
