"""Whether arguments fit a task, field by field, before anything is enqueued."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError
from pydantic_core import ErrorDetails

from jobs.operations.problems import MOST_ERRORS, FieldError, shortened
from jobs.tasks.batch import item_type
from jobs.tasks.redaction import HIDDEN, is_hidden
from jobs.tasks.task import JobTask

#: Errors whose text is written by a validator of the task's author, who may repeat the value in it.
_OWN_WORDS = frozenset({"value_error", "assertion_error"})

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def types_of(task: JobTask) -> Mapping[str, TypeAdapter[Any]]:
    """Return what checks each argument of a task by its type; one whose type nobody can check is not in it."""
    return _adapters(task.name, task.run, bool(task.batch))


def errors_in(task: JobTask, kwargs: Mapping[str, Any], at: str = "kwargs") -> list[FieldError]:
    """Return what is wrong with arguments given by name, as much of it as an answer needs.

    Args:
        task: the task that is to take them.
        kwargs: the arguments.
        at: where they stand in the request.
    """
    # One more than is answered, which says that there are more.
    return list(islice(_errors(task, kwargs, at), MOST_ERRORS + 1))


def _errors(task: JobTask, kwargs: Mapping[str, Any], at: str) -> Iterator[FieldError]:
    parameters = task.takes.parameters
    for name, value, rule in _misfits(parameters, kwargs):
        hidden = value is not None and is_hidden(task.name, name)
        yield FieldError(field=f"{at}.{name}", value=HIDDEN if hidden else shortened(value), rule=rule)
    for name, error in _mistyped(task, kwargs):
        yield _field_error(f"{at}.{name}", error, hidden=is_hidden(task.name, name))


def _field_error(field: str, error: ErrorDetails, *, hidden: bool) -> FieldError:
    """Return what is wrong with a value. Of a hidden one neither the place in it is told nor what our code says."""
    if not hidden:
        place = ".".join([field, *map(str, error["loc"])])
        return FieldError(field=place, value=shortened(error["input"]), rule=error["msg"])
    rule = "is not valid" if error["type"] in _OWN_WORDS else error["msg"]
    return FieldError(field=field, value=HIDDEN, rule=rule)


def _misfits(parameters: Mapping[str, inspect.Parameter], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    named = {name for name, parameter in parameters.items() if parameter.kind in _NAMED}
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    known = ", ".join(sorted(named)) or "none"
    for name, value in kwargs.items():
        if name not in named and not takes_any:
            yield name, value, f"is no argument of the task, which takes: {known}"
    for name in parameters:
        if name in named and name not in kwargs and parameters[name].default is inspect.Parameter.empty:
            yield name, None, "is required"


def _mistyped(task: JobTask, kwargs: Mapping[str, Any]) -> Iterator[tuple[str, ErrorDetails]]:
    adapters = types_of(task)
    parameters = task.takes.parameters.values()
    of_others = next((one.name for one in parameters if one.kind is inspect.Parameter.VAR_KEYWORD), "")
    named = [one.name for one in parameters if one.kind in _NAMED]
    for name in kwargs:
        adapter = adapters.get(name if name in named else of_others)
        if adapter is None:
            continue
        try:
            # Strictly, as JSON: nothing is converted on the way to the task, except what JSON has no type for.
            adapter.validate_json(json.dumps(kwargs[name]), strict=True)
        except ValidationError as exc:
            for error in exc.errors(include_url=False, include_context=False):
                yield name, error
        except ValueError:
            yield name, ErrorDetails(type="json", loc=(), msg="cannot be read as JSON", input=None)


@lru_cache(maxsize=1000)
def _adapters(task_name: str, run: Callable[..., Any], batch: bool) -> dict[str, TypeAdapter[Any]]:
    """Return what checks each annotated argument. One whose type nobody can check is left to the task."""
    function = item_type(run) if batch else inspect.unwrap(run)
    adapters = {}
    for name, hint in _hints(function).items():
        try:
            adapters[name] = TypeAdapter(hint)
        except (PydanticUserError, PydanticSchemaGenerationError, TypeError):
            continue
    return adapters


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    hints: dict[str, Any]
    try:
        hints = get_type_hints(function, include_extras=True)
        if isinstance(function, type) and not hints:
            hints = get_type_hints(function.__init__, include_extras=True)  # type: ignore[misc]
    except (NameError, TypeError):
        hints = _hints_one_by_one(function)
    return {name: hint for name, hint in hints.items() if name not in {"return", "self"}}


def _hints_one_by_one(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the hints that mean something at run time; those that name what only type checkers load are left out."""
    hints: dict[str, Any] = {}
    for name, hint in inspect.get_annotations(function).items():
        alone = SimpleNamespace(__annotations__={name: hint})
        try:
            hints |= get_type_hints(alone, getattr(function, "__globals__", {}), include_extras=True)
        except (NameError, TypeError):
            continue
    return hints
