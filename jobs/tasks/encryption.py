"""Arguments that nobody reads without a key: what the ledger, messages and dead letters hold of an `encrypt=True` task.

In place of such a job's arguments stands `[]`, `{"__encrypted__": "<token>"}`: a Fernet token (AES-128-CBC with
HMAC-SHA-256, https://github.com/fernet/spec/blob/master/Spec.md) of both as JSON. It is read where the task's body is
about to run, and where the arguments are checked against its signature. The first of JOBS_ENCRYPTION_KEYS writes, all
of them read.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from kombu.utils.json import loads

from jobs.conf import encryption_keys
from jobs.core.canonical import encode
from jobs.errors import EncryptionError
from jobs.tasks.registry import registered

if TYPE_CHECKING:
    from cryptography.fernet import Fernet, MultiFernet

#: The name under which a token stands.
MARK = "__encrypted__"

#: The arguments where a token stands for them.
NO_ARGUMENTS = "[]"

_noted: set[str] = set()

#: The deepest signature that is looked into, and more than Celery's own JSON can write.
DEEPEST = 500


def is_encrypted(value: object) -> bool:
    """Return whether this is what stands for a value: arguments by name, a result, what a step returned."""
    return isinstance(value, Mapping) and isinstance(value.get(MARK), str)


def encrypts(task_name: object) -> bool:
    """Return whether what is kept of a task's jobs is encrypted. One that is unknown here does not say so."""
    return isinstance(task_name, str) and bool(getattr(registered().get(task_name), "encrypt", False))


def note(name: str) -> None:
    """Note that a task is declared which encrypts."""
    _noted.add(name)


def declared() -> list[str]:
    """Return the tasks declared so far that encrypt."""
    return sorted(_noted)


def has_keys() -> bool:
    """Return whether there is a key to encrypt with. Raises ImproperlyConfigured where one is none."""
    return bool(_keys()[0])


def encrypted_text(text: str) -> str:
    """Return the JSON that stands for a JSON text. Raises EncryptionError where no key is given."""
    keys, _ = _keys()
    if not keys:
        raise EncryptionError("JOBS_ENCRYPTION_KEYS holds no key to encrypt it with.")
    return json.dumps({MARK: keys[0].encrypt(text.encode()).decode()})


def decrypted_text(token: str) -> str:
    """Return the JSON text for which a token stands. Raises EncryptionError where no key reads it."""
    from cryptography.fernet import InvalidToken  # noqa: PLC0415 (who encrypts nothing need not load it)

    keys, together = _keys()
    if together is None:
        raise EncryptionError("It is encrypted, and JOBS_ENCRYPTION_KEYS holds no key.")
    try:
        return together.decrypt(token.encode()).decode()
    except InvalidToken:
        raise EncryptionError(
            f"It is encrypted, and none of the keys in JOBS_ENCRYPTION_KEYS ({len(keys)}) reads it: add the one that"
            " wrote it."
        ) from None


def argument_texts(args: str, kwargs: str, *, encrypt: bool) -> tuple[str, str]:
    """Return arguments, JSON texts both, as the ledger keeps them: encrypted, where that is asked for.

    Raises:
        EncryptionError: they are to be encrypted, and no key is given.
    """
    return (NO_ARGUMENTS, encrypted_text(f"[{args}, {kwargs}]")) if encrypt else (args, kwargs)


def arguments_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments as they were given, where they are encrypted; else as they are.

    Those that stand beside a token were added since: the result of the job before it, in front, and what a caller gives
    by name.

    Raises:
        EncryptionError: no key reads them.
    """
    if not is_encrypted(kwargs):
        return list(args), dict(kwargs)
    inner_args, inner_kwargs = loads(decrypted_text(kwargs[MARK]))
    given = {name: value for name, value in kwargs.items() if name != MARK}
    return [*args, *inner_args], {**inner_kwargs, **given}


def token_in(text: str) -> str | None:
    """Return the token that stands in a JSON text for a value; None where the value is there itself."""
    if MARK not in text:
        return None
    value = json.loads(text)
    return str(value[MARK]) if is_encrypted(value) else None


def readable(value: Any) -> Any:
    """Return a value as it was, where it is encrypted; else as it is. Raises EncryptionError where no key reads it."""
    return loads(decrypted_text(value[MARK])) if is_encrypted(value) else value


def with_encrypted_signatures(value: Any) -> Any:
    """Return what follows a job, signatures within others too, with their arguments as the ledger keeps them.

    Raises:
        EncryptionError: one is of a task that encrypts, and no key is given.
    """
    return changed_signatures(value, _encrypted_signature)


def changed_signatures(value: Any, change: Any, depth: int = 0) -> Any:
    """Return a value with each signature in it changed; what holds none is returned as it is.

    Args:
        value: anything that JSON has.
        change: takes a mapping, and returns it, or another in its place.
        depth: how deep it lies.
    """
    if depth > DEEPEST or not isinstance(value, (Mapping, list, tuple)):
        return value
    if isinstance(value, Mapping):
        value = change(value)
        inner = {name: changed_signatures(item, change, depth + 1) for name, item in value.items()}
        return value if all(inner[name] is item for name, item in value.items()) else inner
    items = [changed_signatures(item, change, depth + 1) for item in value]
    return value if all(new is old for new, old in zip(items, value, strict=True)) else items


def _encrypted_signature(value: Mapping[str, Any]) -> Mapping[str, Any]:
    if not {"task", "args", "kwargs"} <= value.keys() or not encrypts(value["task"]) or is_encrypted(value["kwargs"]):
        return value
    args, kwargs = value["args"] or (), value["kwargs"] or {}
    token = encrypted_text(f"[{encode(list(args))}, {encode(dict(kwargs))}]") if args or kwargs else "{}"
    return {**value, "args": [], "kwargs": json.loads(token)}


def is_current(token: str) -> bool:
    """Return whether the first key has written a token."""
    from cryptography.fernet import InvalidToken  # noqa: PLC0415

    keys, _ = _keys()
    try:
        return bool(keys) and keys[0].decrypt(token.encode()) is not None
    except InvalidToken:
        return False


def _keys() -> "tuple[Sequence[Fernet], MultiFernet | None]":
    return _made_of(encryption_keys())


@cache
def _made_of(given: tuple[str, ...]) -> "tuple[Sequence[Fernet], MultiFernet | None]":
    from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415

    try:
        keys = tuple(Fernet(key) for key in given)
    except ValueError as exc:
        raise ImproperlyConfigured(f"JOBS_ENCRYPTION_KEYS holds what is no key: {exc}") from None
    return keys, MultiFernet(keys) if keys else None
