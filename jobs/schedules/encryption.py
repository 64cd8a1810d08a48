"""The arguments of a schedule whose task encrypts: its row holds the token that its jobs hold in their place."""

import json
from typing import Any

from django.db.models.signals import pre_save
from django_celery_beat.models import PeriodicTask

from jobs.core.canonical import encode
from jobs.errors import EncryptionError
from jobs.tasks.encryption import argument_texts, arguments_of, encrypts, is_encrypted

#: They are encrypted together, into the second.
_COLUMNS = frozenset({"args", "kwargs"})


def encrypt_on_save() -> None:
    """Have schedules encrypted as they are saved: by forms, by code, and from CELERY_BEAT_SCHEDULE.

    What is written past `save` (SQL, `update`, `bulk_create`, a data migration) is found by `manage.py check
    --database default`, and encrypted by `manage.py jobs reencrypt`.
    """
    pre_save.connect(_before_save, sender=PeriodicTask, dispatch_uid="jobs.schedules.encryption")


def _before_save(
    sender: type[PeriodicTask], instance: PeriodicTask, update_fields: frozenset[str] | None = None, **_: Any
) -> None:
    """Encrypt what is about to be saved. Raises EncryptionError where that cannot be: nothing is saved then."""
    saved = _COLUMNS if update_fields is None else _COLUMNS & update_fields
    if not saved or not stands_in_clear(instance):
        return
    if saved != _COLUMNS:
        raise EncryptionError(
            f"Schedule {instance.name!r}: {instance.task} encrypts its arguments, which are one text: save args and"
            f" kwargs together, not {', '.join(sorted(saved))} alone."
        )
    instance.args, instance.kwargs = encrypted_texts(instance)


def stands_in_clear(row: PeriodicTask) -> bool:
    """Return whether a schedule holds arguments that its task would have encrypted."""
    found = _arguments(row)
    return found is not None and encrypts(row.task) and any(found) and not _is_token(*found)


def encrypted_texts(row: PeriodicTask) -> tuple[str, str]:
    """Return what a schedule that stands in clear is to hold, as JSON texts: its `args` and its `kwargs`.

    What was typed beside a token joins what that stands for.

    Raises:
        EncryptionError: there is no key to encrypt them with, or none that reads the token.
    """
    args, kwargs = arguments_of(*(_arguments(row) or ([], {})))
    return argument_texts(encode(args), encode(kwargs), encrypt=True)


def token_of(row: PeriodicTask) -> dict[str, Any] | None:
    """Return what stands in a schedule for its keyword arguments, where they are encrypted."""
    found = _arguments(row)
    return found[1] if found is not None and _is_token(*found) else None


def _is_token(args: list[Any], kwargs: dict[str, Any]) -> bool:
    return is_encrypted(kwargs) and not args and len(kwargs) == 1


def _arguments(row: PeriodicTask) -> tuple[list[Any], dict[str, Any]] | None:
    """Return a schedule's arguments; None where they are none: it cannot run, and says so wherever it shows."""
    try:
        args, kwargs = json.loads(row.args or "[]"), json.loads(row.kwargs or "{}")
        # What is nested too deeply, or holds what no JSON has.
        encode([args, kwargs])
    except (ValueError, TypeError, RecursionError):
        return None
    args, kwargs = args or [], kwargs or {}
    return (args, kwargs) if isinstance(args, list) and isinstance(kwargs, dict) else None
