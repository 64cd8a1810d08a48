"""The key that no two waiting jobs of a task share. It tells nothing of arguments that the task hides."""

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import TYPE_CHECKING, Any

from kombu.utils.json import dumps

from jobs.core.digests import digests
from jobs.errors import InvalidOption
from jobs.tasks.redaction import hidden_names

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

#: The longest key kept as it is; a longer one is digested.
KEY_LENGTH = 200


def unique_keys(
    task: "JobTask", args: Sequence[Any], kwargs: Mapping[str, Any], given: str | bool | None
) -> tuple[str, ...]:
    """Return what no other waiting job may share with one that is enqueued with these arguments.

    Args:
        task: the job's.
        args: its positional arguments.
        kwargs: its arguments by name.
        given: a key, or true for task and arguments, instead of the task's own rule; false for none; None for the rule.

    Returns:
        The key to be written, and after it those under which such a job may wait since before `SECRET_KEY` was
        changed; nothing where the job is not unique.

    Raises:
        InvalidArguments: the arguments do not fit the task.
        InvalidOption: the key has signs that no database holds.
    """
    text = unique_text(task, args, kwargs, given)
    if text is None:
        return ()
    key = f"{task.name}:{text}"
    if _is_readable(task, given):
        _check(task, key)
        if len(key) <= KEY_LENGTH:
            return (key,)
    return tuple(f"{task.name[:100]}:{digest}" for digest in digests("unique", key))


def unique_text(
    task: "JobTask", args: Sequence[Any], kwargs: Mapping[str, Any], given: str | bool | None
) -> str | None:
    """Return what a job is unique by among those of its task, as `unique_keys` takes it; None where it is not."""
    rule = task.unique if given is None else given
    if not rule:
        return None
    if rule is given and isinstance(rule, str):
        # A caller's key is taken as it is: only the task's author writes templates.
        return rule
    arguments = task.named_arguments(args, kwargs)
    return rule.format(**arguments) if isinstance(rule, str) else str(dumps(arguments, sort_keys=True))


def _is_readable(task: "JobTask", given: str | bool | None) -> bool:
    rule = task.unique if given is None else given
    return isinstance(rule, str) and not is_secret(task, given)


def _check(task: "JobTask", key: str) -> None:
    """Refuse a key that the database's text cannot hold."""
    if "\x00" in key or any("\ud800" <= sign <= "\udfff" for sign in key):
        raise InvalidOption(
            f"{task.name}: unique={key!r:.200} is not valid: a key holds no NUL character and no lone surrogate."
        )


def is_secret(task: "JobTask", given: str | bool | None) -> bool:
    """Return whether a key is made of what the task hides. Of a caller's own key nobody knows what it is made of."""
    hidden = hidden_names(task.name)
    if not hidden:
        return False
    if isinstance(given, str) or given is True or hidden is True:
        return True
    if not isinstance(task.unique, str):
        return bool(task.unique)
    named = {field.replace("[", ".").split(".")[0] for _, field, *_ in Formatter().parse(task.unique) if field}
    return bool(named.intersection(hidden))
