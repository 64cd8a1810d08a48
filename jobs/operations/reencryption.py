"""What is kept encrypted, written anew with the first key: after one was added, before an older one is taken out."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models, transaction
from django_celery_beat.models import PeriodicTask

from jobs.core.canonical import encode
from jobs.errors import EncryptionError
from jobs.models import DeadLetter, Job, JobGroup, Step
from jobs.schedules.encryption import encrypted_texts, stands_in_clear, token_of
from jobs.tasks.encryption import (
    MARK,
    argument_texts,
    changed_signatures,
    decrypted_text,
    encrypted_text,
    encrypts,
    is_current,
    is_encrypted,
    with_encrypted_signatures,
)

#: Rows looked at, and locked, in one transaction.
BATCH = 200


@dataclass(slots=True)
class Reencrypted:
    """What became of it.

    Attributes:
        seen: rows looked at, by table.
        written: rows written anew, or to be, by table.
        unreadable: rows that no key reads, by table.
        passed_by: rows that somebody else's transaction holds, by table.
        example: the first that no key reads; empty where there is none.
    """

    seen: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    passed_by: Counter[str] = field(default_factory=Counter)
    example: str = ""


def reencrypt(*, dry_run: bool, tell: Callable[[Reencrypted], None]) -> Reencrypted:
    """Write with the first key what another one has written, and what its task did not encrypt when it was written.

    It may be stopped and begun again. A row is locked for a moment, and one that is locked is passed by.

    Args:
        dry_run: count only.
        tell: called after each batch, with the counts so far.
    """
    found = Reencrypted()
    for table, every, change in _TABLES:
        for ids in _batches(every):
            with transaction.atomic():
                rows = every.filter(pk__in=ids).order_by("pk")
                locked = rows if dry_run else rows.select_for_update(skip_locked=True, of=("self",))
                seen = [_change(found, table, row, change, dry_run=dry_run) for row in locked]
                if len(seen) < len(ids):
                    found.passed_by[table] += rows.exclude(pk__in=seen).count()
            tell(found)
    return found


def _batches(every: models.QuerySet[Any]) -> Iterator[list[Any]]:
    rows = every.order_by("pk").values_list("pk", flat=True)
    ids = list(rows[:BATCH])
    while ids:
        yield ids
        ids = list(rows.filter(pk__gt=ids[-1])[:BATCH])


def _change(
    found: Reencrypted, table: str, row: models.Model, change: Callable[[Any], dict[str, Any]], *, dry_run: bool
) -> Any:
    """Change a row. Returns its key."""
    found.seen[table] += 1
    try:
        changes = {name: value for name, value in change(row).items() if value != getattr(row, name)}
    except EncryptionError:
        found.unreadable[table] += 1
        found.example = found.example or f"{table} {row.pk}"
        return row.pk
    if changes:
        found.written[table] += 1
        if not dry_run:
            type(row)._default_manager.filter(pk=row.pk).update(**changes)  # noqa: SLF001
    return row.pk


def _of_job(job: Job) -> dict[str, Any]:
    args, kwargs = _arguments(job.task, job.args, job.kwargs)
    return {
        "args": args,
        "kwargs": kwargs,
        "options": _signatures(job.options),
        "result": _value(job.task, job.result),
    }


def _of_step(step: Any) -> dict[str, Any]:
    return {"value": _value(step.task, step.value)}


def _of_group(group: JobGroup) -> dict[str, Any]:
    return {"body": _signatures(group.body), "callbacks": _signatures(group.callbacks)}


def _of_letter(letter: DeadLetter) -> dict[str, Any]:
    if letter.args is None or letter.kwargs is None:
        return {}
    args, kwargs = _arguments(letter.task, letter.args, letter.kwargs)
    try:
        was_args, was_kwargs, embedded = json.loads(bytes(letter.body))
    except (ValueError, TypeError):
        return {"args": args, "kwargs": kwargs}
    new_args, new_kwargs = _arguments(letter.task, was_args, was_kwargs)
    body = json.dumps([new_args, new_kwargs, _signatures(embedded)]).encode()
    is_same = json.loads(body) == [was_args, was_kwargs, embedded]
    return {"args": args, "kwargs": kwargs, "body": letter.body if is_same else body}


def _of_schedule(schedule: PeriodicTask) -> dict[str, Any]:
    if (token := token_of(schedule)) is not None:
        return {} if is_current(token[MARK]) else {"kwargs": json.dumps(_rewritten(token))}
    return dict(zip(("args", "kwargs"), encrypted_texts(schedule), strict=True)) if stands_in_clear(schedule) else {}


_TABLES: tuple[tuple[str, models.QuerySet[Any], Callable[[Any], dict[str, Any]]], ...] = (
    ("jobs", Job.objects.all(), _of_job),
    ("steps", Step.objects.annotate(task=models.F("job__task")), _of_step),
    ("groups", JobGroup.objects.all(), _of_group),
    ("dead letters", DeadLetter.objects.all(), _of_letter),
    ("schedules", PeriodicTask.objects.only("task", "args", "kwargs"), _of_schedule),
)


def _arguments(task: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
    if is_encrypted(kwargs):
        return args, {**kwargs, MARK: _token(kwargs[MARK])}
    if not encrypts(task):
        return args, kwargs
    texts = argument_texts(encode(args), encode(kwargs), encrypt=True)
    return json.loads(texts[0]), json.loads(texts[1])


def _value(task: str, value: Any) -> Any:
    if is_encrypted(value):
        return {MARK: _token(value[MARK])}
    return json.loads(encrypted_text(encode(value))) if value is not None and encrypts(task) else value


def _signatures(value: Any) -> Any:
    return with_encrypted_signatures(changed_signatures(value, _rewritten))


def _rewritten(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**value, MARK: _token(value[MARK])} if is_encrypted(value) else value


def _token(token: str) -> str:
    """Return what stands for the same by the first key: the token itself, where that has written it."""
    return token if is_current(token) else str(json.loads(encrypted_text(decrypted_text(token)))[MARK])
