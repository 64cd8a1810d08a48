"""What an operator can do with dead letters: replay, discard. One, or all that match a filter."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.utils import timezone
from kombu.utils.json import loads

from jobs.core.properties import USER_HEADER, carried
from jobs.core.versions import version_in
from jobs.deadletters import codec, publisher
from jobs.enqueue.enqueuer import enqueue
from jobs.errors import EnqueueError, InvalidArguments, TransitionRefused, UnknownTask
from jobs.ledger.sql import RowLocked
from jobs.models import DeadLetter
from jobs.operations.actions import requeue
from jobs.operations.bulk import Progress, Result, record, recorded, slices
from jobs.operations.filters import DeadLetterFilter, JobFilter
from jobs.tasks.encryption import arguments_of, is_encrypted
from jobs.tasks.options import Options
from jobs.tasks.redaction import ENCRYPTED, HIDDEN, is_hidden
from jobs.tasks.registry import registered
from jobs.tasks.task import JobTask
from jobs.tasks.versions import NewerVersion, upgraded
from jobs.worker.adopt import priority_of

#: Read at once, bodies included.
BATCH = 25


def replay(selection: DeadLetterFilter, *, actor: str, dry_run: bool = False, force: bool = False) -> Result:
    """Run dead letters again: each one's job goes back to its queue; a message without one is delivered anew.

    Those replayed before are left alone, unless `force`.
    """
    return _on_dead_letters("replay", selection, lambda letter: _replay(letter, force=force), actor, dry_run=dry_run)


def discard(selection: DeadLetterFilter, *, actor: str, dry_run: bool = False) -> Result:
    """Set dead letters aside for good. Their jobs stay dead; the letters are deleted after their retention."""
    return _on_dead_letters("discard", selection, _discard, actor, dry_run=dry_run)


def discard_of_jobs(selection: JobFilter, *, actor: str, dry_run: bool = False) -> Result:
    """Set aside for good what jobs left in the dead letters; the jobs stay as they are."""
    jobs = selection.jobs().order_by().values("pk")
    letters = DeadLetter.objects.filter(job_id__in=jobs, replayed_at__isnull=True, discarded_at__isnull=True)
    matched = letters.count()
    if dry_run:
        return Result(matched, 0)
    with transaction.atomic():
        changed = letters.update(discarded_at=timezone.now())
        record("discard", actor, selection.as_json(), changed)
    return Result(matched, changed)


def replay_corrected(
    letter: DeadLetter, args: Sequence[Any], kwargs: Mapping[str, Any], *, actor: str, force: bool = False
) -> uuid.UUID:
    """Replay a dead letter with other arguments: a new job, linked both ways.

    Returns:
        The new job's id.

    Raises:
        UnknownTask: nobody registered its task here.
        EnqueueError: the arguments do not fit the task.
        TransitionRefused: it was replayed or discarded before, and `force` is not given.
    """
    task = registered().get(letter.task)
    if not isinstance(task, JobTask):
        raise UnknownTask(f"The letter's task {letter.task!r} is not registered here, so it cannot be run again.")
    with transaction.atomic():
        _refuse_twice(letter, force=force)
        options = replace(_options_of(task, letter), queue=letter.queue, replay_of=letter.job_id)
        job_id = enqueue(task, args, kwargs, options).id
        _mark_replayed(letter, job_id)
        record("replay corrected", actor, {"letter": str(letter.pk), "job": str(job_id)}, 1)
    return job_id


def corrected_arguments(letter: DeadLetter, shown: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments for a replay as somebody has corrected them who was shown them by name.

    Args:
        letter: whose arguments they were.
        shown: as they are to be; what reads `[redacted]` or `[encrypted]` still has the value that nobody was shown.

    Returns:
        Those that have no name but their position, and the others by name.

    Raises:
        EncryptionError: they are encrypted, and no key reads them.
    """
    originals = _named(letter)
    if is_encrypted(letter.kwargs):
        shown = _decrypted(originals, shown)
    kept = {name for name, value in shown.items() if value == HIDDEN and is_hidden(letter.task, name)}
    kwargs = {name: originals.get(name, value) if name in kept else value for name, value in shown.items()}
    positions = sorted((name for name in kwargs if name.isdecimal()), key=int)
    return [kwargs.pop(position) for position in positions], kwargs


def _decrypted(originals: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments that were shown as encrypted: those parameters that were not given stay so."""
    given = {name: value for name, value in shown.items() if value != ENCRYPTED}
    kept = {name for name, value in shown.items() if value == ENCRYPTED}
    return {**{name: value for name, value in originals.items() if name in kept}, **given}


def _named(letter: DeadLetter) -> dict[str, Any]:
    signature = getattr(registered().get(letter.task), "takes", None)
    names = list(signature.parameters) if signature else []
    values, by_name = arguments_of(letter.args or [], letter.kwargs or {})
    named = {names[index] if index < len(names) else str(index): value for index, value in enumerate(values)}
    return {**named, **by_name}


def _on_dead_letters(
    action: str, selection: DeadLetterFilter, change: Callable[[DeadLetter], bool], actor: str, *, dry_run: bool
) -> Result:
    found = selection.dead_letters()
    matched = found.order_by().count()
    if dry_run:
        return Result(matched, 0)
    with recorded(action, actor, selection.as_json()) as progress:
        for ids in slices(found, BATCH):
            for letter in DeadLetter.objects.filter(pk__in=ids).order_by("pk"):
                if progress.is_late:
                    break
                _try(change, letter, progress)
    return progress.result(matched)


def _try(change: Callable[[DeadLetter], bool], letter: DeadLetter, progress: Progress) -> None:
    """Change one letter. What does not fit is its own affair, and stops no other."""
    progress.seen += 1
    try:
        with transaction.atomic():
            progress.changed += change(letter)
    except (EnqueueError, UnknownTask, RowLocked, ValueError, TypeError, LookupError) as exc:
        progress.refuse(letter.pk, exc)
    except publisher.BrokerGone as exc:
        if not progress.changed:
            raise
        # The others would not go any better.
        progress.refuse(letter.pk, exc)
        progress.stop()


def _replay(letter: DeadLetter, *, force: bool) -> bool:
    try:
        _refuse_twice(letter, force=force)
    except TransitionRefused:
        return False
    if letter.job_id is None:
        _mark_replayed(letter, _deliver_anew(letter))
    elif requeue([letter.job_id]):
        _mark_replayed(letter, letter.job_id)
    else:
        return False
    return True


def _deliver_anew(letter: DeadLetter) -> uuid.UUID | None:
    """Run a message that has no job: as a new job where it can be understood, else by delivering it as it was.

    Raises:
        BrokerGone: the broker did not take the message; nothing has changed.
    """
    task = registered().get(letter.task)
    if isinstance(task, JobTask) and letter.args is not None and letter.kwargs is not None:
        args, kwargs = _upgraded(task, letter)
        return enqueue(task, args, kwargs, _options_of(task, letter)).id
    message = codec.original(
        bytes(letter.body), letter.content_type, letter.content_encoding, letter.headers, letter.properties
    )
    if publisher.send(letter.queue, [message]):
        raise InvalidArguments(f"Dead letter {letter.pk} cannot be sent again: the broker cannot carry its headers.")
    return None


def _upgraded(task: JobTask, letter: DeadLetter) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return a letter's arguments as its task takes them now.

    Raises:
        InvalidArguments: it does not take them.
        EncryptionError: they are encrypted, and no key reads them.
    """
    args, kwargs = arguments_of(loads(json.dumps(letter.args)), loads(json.dumps(letter.kwargs)))
    version = version_in(letter.headers)
    try:
        return upgraded(task, version, args, kwargs)
    except NewerVersion as exc:
        raise InvalidArguments(str(exc)) from None
    except Exception as exc:
        raise InvalidArguments(
            f"{task.name}: the upgrade from version {version} raises {type(exc).__qualname__}, so the letter cannot be"
            " run again as it is."
        ) from exc


def _options_of(task: JobTask, letter: DeadLetter) -> Options:
    """Return what a letter's message said of its job besides the arguments, for a new one in its place."""
    return Options(
        priority=priority_of(task, letter.properties) if letter.job is None else letter.job.priority,
        correlation_id=letter.correlation_id or None,
        message={"headers": codec.own_headers(letter.headers), "properties": _properties_of(letter)},
    )


def _properties_of(letter: DeadLetter) -> dict[str, str]:
    # Of a message from the ledger, a header says whose it is.
    user_id = letter.headers.get(USER_HEADER)
    given = {**letter.properties, "content_encoding": letter.content_encoding, "user_id": user_id}
    return {name: value for name, value in carried(given).items() if (name, value) != ("content_encoding", "utf-8")}


def _discard(letter: DeadLetter) -> bool:
    return bool(
        DeadLetter.objects.filter(pk=letter.pk, replayed_at__isnull=True, discarded_at__isnull=True).update(
            discarded_at=timezone.now()
        )
    )


def _refuse_twice(letter: DeadLetter, *, force: bool) -> None:
    """Make sure, against a second operator as well, that a letter is replayed once."""
    current = DeadLetter.objects.select_for_update().get(pk=letter.pk)
    if force or current.is_open:
        return
    done = "replayed" if current.replayed_at else "discarded"
    when = current.replayed_at or current.discarded_at
    raise TransitionRefused(
        f"Dead letter {letter.pk} was {done} at {when:%Y-%m-%d %H:%M:%S %Z}; force it if you mean it."
    )


def _mark_replayed(letter: DeadLetter, job_id: uuid.UUID | None) -> None:
    DeadLetter.objects.filter(pk=letter.pk).update(replayed_at=timezone.now(), replay_job_id=job_id, discarded_at=None)
