"""The key that no two waiting jobs of a task share. It tells nothing of arguments that the task hides."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from string import Formatter
from typing import TYPE_CHECKING, Any

from kombu.utils.json import dumps

from jobs.core.digests import digests
from jobs.core.unique_rule import UniqueRule
from jobs.errors import InvalidOption
from jobs.ledger.enqueue import database_time
from jobs.tasks.redaction import hidden_names

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

#: The longest key kept as it is; a longer one is digested.
KEY_LENGTH = 200

#: What says by what a job is unique, at `@job` or at a call: a key or a template, names of arguments, true or false.
Given = str | bool | tuple[str, ...] | None


def rule_of(task: "JobTask", given: Mapping[str, Any]) -> UniqueRule:
    """Return the rule of a call: the task's, but for what the call says itself (the fields of `UniqueRule`).

    Raises:
        InvalidOption: it is none.
    """
    said = {name: value for name, value in given.items() if value is not None}
    if not said:
        return task.unique_rule
    said = {name: value.total_seconds() if isinstance(value, timedelta) else value for name, value in said.items()}
    if "unique" in said:
        said["by"] = said.pop("unique")
        if len(said) == 1 and (said["by"] is False or said["by"] == ""):
            return UniqueRule()
    rule = replace(task.unique_rule, **said)
    if problem := rule.problem():
        raise InvalidOption(f"{task.name}: {problem}.")
    return rule


def check_names(rule: str | bool | tuple[str, ...], names: Collection[str], owner: str) -> None:
    """Refuse a rule that names what is no argument.

    Args:
        rule: by what jobs are unique: a template or names of arguments are looked at.
        names: the arguments there are.
        owner: whose they are, for the error.

    Raises:
        InvalidOption: naming the argument.
    """
    for name in _named(rule, owner):
        if name not in names:
            known = ", ".join(names) or "none"
            raise InvalidOption(f"{owner}: unique={rule!r} names {name!r}, which is no argument. There are: {known}.")


def _named(rule: str | bool | tuple[str, ...], owner: str) -> list[str]:
    """Return the arguments that a rule names."""
    if isinstance(rule, bool):
        return []
    if not isinstance(rule, str):
        return list(rule)
    try:
        fields = [field for _, field, *_ in Formatter().parse(rule) if field is not None]
    except ValueError as exc:
        raise InvalidOption(f"{owner}: unique={rule!r} is no template: {exc}.") from None
    return [field.replace("[", ".").split(".")[0] for field in fields]


def in_time(rule: UniqueRule, delay: float | None, run_at: datetime | None) -> tuple[float | None, datetime | None]:
    """Return when a job is due, and not later than its rule lets further calls put it off."""
    longest = rule.max_delay
    if longest is None:
        return delay, run_at
    if run_at is not None:
        return None, min(run_at, database_time() + timedelta(seconds=longest))
    return (None if delay is None else min(delay, longest)), None


def unique_keys(task: "JobTask", args: Sequence[Any], kwargs: Mapping[str, Any], given: Given) -> tuple[str, ...]:
    """Return what no other waiting job may share with one that is enqueued with these arguments.

    Args:
        task: the job's.
        args: its positional arguments.
        kwargs: its arguments by name.
        given: a key, names of arguments, or true for task and arguments, instead of the task's own rule; false for
            none; None for the rule.

    Returns:
        The key to be written, and after it those under which such a job may wait since before `SECRET_KEY` was
        changed, or under a name that the task had before; nothing where the job is not unique.

    Raises:
        InvalidArguments: the arguments do not fit the task.
        InvalidOption: the key has signs that no database holds, or cannot be made of these arguments.
    """
    text = unique_text(task, args, kwargs, given)
    if text is None:
        return ()
    keys: list[str] = []
    for name in (task.name, *task.aliases):
        key = f"{name}:{text}"
        readable = _is_readable(task, given)
        if readable:
            _check(task, key)
        if readable and len(key) <= KEY_LENGTH:
            keys.append(key)
        else:
            keys += (f"{name[:100]}:{digest}" for digest in digests("unique", key))
    return tuple(keys)


def unique_text(task: "JobTask", args: Sequence[Any], kwargs: Mapping[str, Any], given: Given) -> str | None:
    """Return what a job is unique by among those of its task, as `unique_keys` takes it; None where it is not."""
    rule = task.unique if given is None else given
    if not rule:
        return None
    if rule is given and isinstance(rule, str):
        # A caller's key is taken as it is: only the task's author writes templates.
        return rule
    arguments = task.named_arguments(args, kwargs)
    if isinstance(rule, str):
        return _filled(task, rule, arguments)
    if not isinstance(rule, bool):
        check_names(rule, arguments.keys(), task.name)
        arguments = {name: arguments[name] for name in rule}
    return str(dumps(arguments, sort_keys=True))


def _filled(task: "JobTask", template: str, arguments: Mapping[str, Any]) -> str:
    try:
        return template.format(**arguments)
    except Exception as exc:  # noqa: BLE001 (an argument's own `__format__`, and what the template wants of it)
        raise InvalidOption(
            f"{task.name}: unique={template!r} cannot be filled from these arguments: {type(exc).__name__}."
        ) from None


def _is_readable(task: "JobTask", given: Given) -> bool:
    rule = task.unique if given is None else given
    return not isinstance(rule, bool) and not is_secret(task, given)


def _check(task: "JobTask", key: str) -> None:
    """Refuse a key that the database's text cannot hold."""
    if "\x00" in key or any("\ud800" <= sign <= "\udfff" for sign in key):
        raise InvalidOption(
            f"{task.name}: unique={key!r:.200} is not valid: a key holds no NUL character and no lone surrogate."
        )


def is_secret(task: "JobTask", given: Given) -> bool:
    """Return whether a key is made of what the task hides. Of a caller's own key nobody knows what it is made of."""
    hidden = hidden_names(task.name)
    if not hidden:
        return False
    if isinstance(given, str) or given is True or hidden is True:
        return True
    rule = given or task.unique
    if isinstance(rule, bool):
        return rule
    return not hidden.isdisjoint(_named(rule, task.name))
