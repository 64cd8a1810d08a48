"""`key=` and `tenant=`: what a task's jobs are told apart by, and whose they are, by their arguments."""

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import TYPE_CHECKING, Any

from jobs.core.digests import digests
from jobs.errors import InvalidOption
from jobs.tasks.redaction import hidden_names

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

logger = logging.getLogger(__name__)

#: An argument's name, a template of such names, or what is called with the job's arguments and returns a text.
Key = str | Callable[..., object]

RULE = "an argument's name, a template such as '{tenant}:{region}', or a callable that takes the arguments"

#: The longest key that is kept as it is; of a longer one, its digest is.
KEY_LENGTH = 200

#: Arguments of this kind take any name.
_ANY = inspect.Parameter.VAR_KEYWORD


def is_key(value: object) -> bool:
    """Return whether a task may have this as its key."""
    if callable(value):
        return True
    if not isinstance(value, str) or not value:
        return False
    try:
        named = _names(value)
    except ValueError:
        return False
    return all(name.isidentifier() for name in named) and bool(named)


def check_key(option: str, key: object, function: Callable[..., Any], *, bind: bool) -> None:
    """Refuse a key that names what is no argument of the function. Raises InvalidOption."""
    if not isinstance(key, str):
        return
    taken = list(inspect.signature(function).parameters.values())[1 if bind else 0 :]
    names = [parameter.name for parameter in taken]
    if any(parameter.kind is _ANY for parameter in taken):
        return
    for name in _names(key):
        if name not in names:
            known = ", ".join(names) or "none"
            raise InvalidOption(
                f"@job: {option}={key!r} is not valid: {name!r} is no argument of {function.__qualname__}. It takes:"
                f" {known}."
            )


def limit_key(task: "JobTask", args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """Return the key of a job with these arguments, after its task's name; None where the task has none.

    A callable that fails costs the caller nothing: its job shares one key with others of which that is so, and its
    attempt fails with the error.

    Raises:
        InvalidArguments: the arguments do not fit the task.
        InvalidOption: they make no key that a database holds.
    """
    text = _text(task, "key", args, kwargs)
    return None if text is None else f"{task.name}:{text}"


def tenant(task: "JobTask", args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """Return whose a job with these arguments is; None where the task does not say. Raises as `limit_key`."""
    return _text(task, "tenant", args, kwargs)


def checked(task: "JobTask", args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Call what the call could not tell the error of: a task's callables that say key and tenant. Raises that."""
    for rule in (task.key, task.tenant):
        if callable(rule):
            rule(*args, **kwargs)


def _text(task: "JobTask", option: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    rule: Key | None = getattr(task, option)
    if rule is None:
        return None
    try:
        text = str(rule(*args, **kwargs)) if callable(rule) else _filled(task, option, rule, args, kwargs)
    except Exception as exc:
        if not callable(rule):
            raise
        logger.warning("%s: %s=%r failed for a job, which will say so: %s", task.name, option, rule, type(exc).__name__)
        return ""
    if _is_secret(task, rule) or len(text) > KEY_LENGTH:
        return digests(option, f"{task.name}:{text}")[0]
    if "\x00" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise InvalidOption(
            f"{task.name}: the {option} {text!r} is not valid: it holds no NUL character and no lone surrogate."
        )
    return text


def _filled(task: "JobTask", option: str, rule: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Return a template with these arguments."""
    arguments = task.named_arguments(args, kwargs)
    template = rule if "{" in rule else f"{{{rule}}}"
    try:
        return template.format(**arguments)
    except (KeyError, IndexError, AttributeError, TypeError, ValueError) as exc:
        raise InvalidOption(
            f"{task.name}: {option}={rule!r} cannot be made of the arguments: {type(exc).__name__}: {exc}."
        ) from None


def _is_secret(task: "JobTask", rule: Key) -> bool:
    """Return whether a key may be made of what the task hides."""
    hidden = hidden_names(task.name)
    if isinstance(hidden, bool) or callable(rule):
        return bool(hidden)
    return bool(hidden.intersection(_names(rule)))


def _names(key: str) -> list[str]:
    """Return the arguments that a key names. Raises ValueError where it is no template."""
    if "{" not in key and "}" not in key:
        return [key]
    return [field.replace("[", ".").split(".")[0] for _, field, *_ in Formatter().parse(key) if field is not None]
