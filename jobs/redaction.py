"""Arguments as people may see them: what a task names in `redact` is hidden, in every page, answer and log."""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.errors import InvalidOption
from jobs.registry import registered

#: What stands where a value is hidden.
HIDDEN = "[redacted]"


def shown_arguments(
    task_name: str, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a job as they may be shown. The arguments of a task unknown here are hidden whole."""
    args, kwargs = list(args or ()), dict(kwargs or {})
    task = registered().get(task_name)
    hidden = True if task is None else getattr(task, "redact", ())
    if hidden is True:
        return [HIDDEN] * len(args), dict.fromkeys(kwargs, HIDDEN)
    if not hidden:
        return args, kwargs
    positions = _parameters(task)
    shown_args = [
        HIDDEN if index >= len(positions) or positions[index] in hidden else value for index, value in enumerate(args)
    ]
    return shown_args, {name: HIDDEN if name in hidden else value for name, value in kwargs.items()}


def is_hidden(task_name: str, argument: str) -> bool:
    """Return whether a named argument of a task is hidden; searching for its value is then refused, too."""
    _, shown = shown_arguments(task_name, (), {argument: ""})
    return bool(shown[argument] == HIDDEN)


def tasks_showing(argument: str = "") -> list[str]:
    """Return the tasks that hide nothing, or not this argument: what may be searched."""
    shown = []
    for name, task in registered().items():
        hidden = getattr(task, "redact", ())
        if not hidden or (argument and hidden is not True and argument not in hidden):
            shown.append(name)
    return sorted(shown)


def tasks_taking(argument: str) -> dict[int, list[str]]:
    """Return the tasks that take an argument of this name, by its position."""
    found: dict[int, list[str]] = {}
    for name, task in registered().items():
        parameters = _parameters(task)
        if argument in parameters:
            found.setdefault(parameters.index(argument), []).append(name)
    return found


def _parameters(task: Any) -> list[str]:
    try:
        return list(task._signature.parameters) if hasattr(type(task), "_signature") else []  # noqa: SLF001 (it is ours)
    except InvalidOption:
        # A batch task that does not say what its jobs take: it cannot have any.
        return []
