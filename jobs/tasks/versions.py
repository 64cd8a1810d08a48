"""Arguments of older code: a task says of which version its arguments are, and how those before become the next."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.errors import InvalidOption

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask


class NewerVersion(Exception):
    """Raised for a job of a version that the code at hand does not know yet."""


class NoArguments(TypeError):
    """Raised where an upgrade function returned something else than arguments by name."""


def check_chain(version: int, upgrade: Mapping[int, Callable[..., Any]], owner: str) -> None:
    """Refuse a chain of upgrades with a gap, or with a link that leads nowhere.

    Args:
        version: the task's.
        upgrade: its functions, by the version that they take.
        owner: whose it is, for the error.

    Raises:
        InvalidOption: naming the versions at fault.
    """
    needed = range(1, version)
    if missing := [number for number in needed if number not in upgrade]:
        raise InvalidOption(
            f"{owner}: version={version} needs upgrade= for each version before it; missing: {_listed(missing)}. For"
            " one that no job has any more, give a function that raises Permanent."
        )
    if surplus := sorted(number for number in upgrade if number not in needed):
        raise InvalidOption(
            f"{owner}: upgrade= names {_listed(surplus)}, and version={version} comes after none of these: say the"
            " version that the arguments have now."
        )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def upgraded(
    task: "JobTask", version: int, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments of a job as its task takes them now.

    Raises:
        NewerVersion: the job is of a later version than the task.
        NoArguments: an upgrade function returned none.
        Exception: what an upgrade function raises.
    """
    if version > task.version:
        raise NewerVersion(
            f"{task.name}: the job's arguments are of version {version}, and this code knows them up to version"
            f" {task.version}."
        )
    for number in range(version, task.version):
        found: Any = task.upgrade[number](*args, **kwargs)
        if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
            raise NoArguments(
                f"{task.name}: the upgrade of version {number} returned a {type(found).__name__}: it must return the"
                f" arguments of version {number + 1} by name, as a mapping."
            )
        args, kwargs = (), found
    return args, kwargs
