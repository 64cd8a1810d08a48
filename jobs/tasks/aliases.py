"""Tasks that were renamed: what comes under an old name is theirs."""

from collections.abc import Callable, Sequence
from typing import Any

from jobs.errors import InvalidOption

#: Whose a name is: that of the function that declared it, by module and name, so that a module may be loaded twice.
_names: dict[str, str] = {}
_aliases: dict[str, str] = {}

#: The longest name of a task.
NAME_LENGTH = 200


def are_aliases(value: object) -> bool:
    """Return whether these can be names of tasks."""
    return isinstance(value, (tuple, list)) and all(
        isinstance(name, str) and 0 < len(name) <= NAME_LENGTH and name.isprintable() for name in value
    )


def declare(function: Callable[..., Any], name: str, aliases: Sequence[str]) -> None:
    """Note the names of a task.

    Args:
        function: the task's.
        name: the task's.
        aliases: the names that it had before.

    Raises:
        InvalidOption: one of them is another task's.
    """
    owner = f"{function.__module__}.{function.__qualname__}"
    if name in aliases:
        raise InvalidOption(
            f"@job {owner}: aliases={list(aliases)!r} has the task's own name: name those it had before."
        )
    for alias in aliases:
        theirs = _names.get(alias) or _aliases.get(alias, owner)
        if theirs != owner:
            raise InvalidOption(f"@job {owner}: the alias {alias!r} is a name of {theirs}: a name is one task's.")
    if _aliases.get(name, owner) != owner:
        raise InvalidOption(f"@job {owner}: the name {name!r} is an alias of {_aliases[name]}: a name is one task's.")
    _names[name] = owner
    _aliases.update(dict.fromkeys(aliases, owner))


def register(tasks: dict[str, Any], name: str, aliases: Sequence[str]) -> None:
    """Let an application know a task by its old names as well. Raises InvalidOption where one is another task's."""
    for alias in aliases:
        other = tasks.get(alias)
        if other is not None and other.name != name:
            raise InvalidOption(f"{name}: the alias {alias!r} is the name of another task: a name is one task's.")
        tasks[alias] = tasks[name]
