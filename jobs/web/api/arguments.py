"""Whether arguments fit a task, field by field, before anything is enqueued."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, get_type_hints

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from jobs.redaction import HIDDEN, is_hidden
from jobs.runtime.batch import item_type
from jobs.task import JobTask
from jobs.web.api.problems import FieldError, shortened

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def errors_in(task: JobTask, kwargs: Mapping[str, Any], at: str = "kwargs") -> list[FieldError]:
    """Return what is wrong with arguments given by name; `at` says where they stand in the request."""
    parameters = task._signature.parameters  # noqa: SLF001 (it is ours)
    return [
        FieldError(field=f"{at}.{name}", value=_shown(task, name, value), rule=rule)
        for name, value, rule in (*_misfits(parameters, kwargs), *_mistyped(task, kwargs))
    ]


def _misfits(parameters: Mapping[str, inspect.Parameter], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    named = {name for name, parameter in parameters.items() if parameter.kind in _NAMED}
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    for name, value in kwargs.items():
        if name not in named and not takes_any:
            known = ", ".join(sorted(named)) or "none"
            yield name, value, f"is no argument of the task, which takes: {known}"
    for name in parameters:
        if name in named and name not in kwargs and parameters[name].default is inspect.Parameter.empty:
            yield name, None, "is required"


def _mistyped(task: JobTask, kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    adapters = _adapters(task.name, task.run, bool(task.batch))
    for name, adapter in adapters.items():
        if name not in kwargs:
            continue
        try:
            # Strictly, as JSON: nothing is converted on the way to the task, except what JSON has no type for.
            adapter.validate_json(json.dumps(kwargs[name]), strict=True)
        except ValidationError as exc:
            for error in exc.errors(include_url=False, include_context=False):
                path = ".".join([name, *map(str, error["loc"])])
                yield path, error["input"], error["msg"]
        except ValueError as exc:
            yield name, None, f"cannot be read as JSON: {exc}"


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
    try:
        hints = get_type_hints(function, include_extras=True)
        if isinstance(function, type) and not hints:
            hints = get_type_hints(function.__init__, include_extras=True)  # type: ignore[misc]
    except (NameError, TypeError):
        return {}
    return {name: hint for name, hint in hints.items() if name not in {"return", "self"}}


def _shown(task: JobTask, path: str, value: Any) -> Any:
    return HIDDEN if is_hidden(task.name, path.split(".", maxsplit=1)[0]) and value is not None else shortened(value)
