"""What an operator can do: retry, cancel, replay, discard, pause, resume. One job or all that match a filter.

Admin, dashboard, API and command line call these and nothing below them. Each says who asks, is recorded with
its filter and count, and can say first how many it would concern (`dry_run`).
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from kombu.utils.json import loads

from jobs.core.states import FINAL, WAITING, State
from jobs.deadletters import codec as letters, publisher
from jobs.deadletters.missing import close
from jobs.enqueue.dispatcher import dispatcher
from jobs.enqueue.enqueuer import enqueue
from jobs.enqueue.message import outgoing
from jobs.errors import EnqueueError, TransitionRefused, UnknownTask
from jobs.ledger import operate
from jobs.ledger.maintain import redispatch_queue
from jobs.models import DeadLetter, OperatorAction, Queue
from jobs.operations.filters import JobFilter, LetterFilter
from jobs.tasks.options import Options
from jobs.tasks.redaction import HIDDEN, is_hidden
from jobs.tasks.registry import registered
from jobs.tasks.task import JobTask

#: Rows changed in one transaction: locks stay short however many match. And dead letters read at once, bodies included.
BATCH, LETTERS = 500, 25

#: An action of many ends after so many seconds, and says how many are left: a request must be answered.
MOST_SECONDS = 20.0

#: Rows of which it is told why they could not be changed.
MOST_REFUSED = 100

RETRYABLE = tuple(sorted(FINAL | WAITING))
CANCELLABLE = tuple(sorted(WAITING | {State.QUEUED, State.RUNNING}))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that an action could not change, and why."""

    id: uuid.UUID
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    """What an action did, or would do.

    Attributes:
        matched: how many it concerned when it began.
        changed: how many it changed; 0 in a dry run.
        refused: those that cannot be changed, the first `MOST_REFUSED` of them.
        left: how many it did not come to in its time: the same action again goes on with them.
    """

    matched: int
    changed: int
    refused: tuple[Refusal, ...] = ()
    left: int = 0


class Change(Protocol):
    """Makes a change of many, or only counts what it would concern."""

    def __call__(self, *, dry_run: bool) -> Result: ...


def retry_jobs(selection: JobFilter, *, actor: str, dry_run: bool = False) -> Result:
    """Put jobs that ended, or wait for a later time, into their queues now; history kept, retries begun anew."""
    return _on_jobs("retry", selection, RETRYABLE, _requeue, actor, dry_run=dry_run)


def cancel_jobs(selection: JobFilter, *, actor: str, dry_run: bool = False) -> Result:
    """Cancel jobs that have not ended. A running one is ended by its worker within a moment."""

    def cancel(ids: Sequence[uuid.UUID]) -> int:
        return operate.cancel(ids, f"Cancelled by {actor}.") + operate.ask_to_cancel(ids)

    return _on_jobs("cancel", selection, CANCELLABLE, cancel, actor, dry_run=dry_run)


def replay_letters(selection: LetterFilter, *, actor: str, dry_run: bool = False, force: bool = False) -> Result:
    """Run dead letters again: each one's job goes back to its queue; a message without one is delivered anew.

    Those replayed before are left alone, unless `force`.
    """
    return _on_letters("replay", selection, lambda letter: _replay(letter, force=force), actor, dry_run=dry_run)


def discard_letters(selection: LetterFilter, *, actor: str, dry_run: bool = False) -> Result:
    """Set dead letters aside for good. Their jobs stay dead; the letters are deleted after their retention."""
    return _on_letters("discard", selection, _discard, actor, dry_run=dry_run)


def discard_jobs(selection: JobFilter, *, actor: str, dry_run: bool = False) -> Result:
    """Set aside for good what jobs left in the dead letters; the jobs stay as they are."""
    jobs = selection.jobs().order_by().values("pk")
    letters = DeadLetter.objects.filter(job_id__in=jobs, replayed_at__isnull=True, discarded_at__isnull=True)
    matched = letters.count()
    if dry_run:
        return Result(matched, 0)
    with transaction.atomic():
        changed = letters.update(discarded_at=timezone.now())
        _record("discard", actor, selection.as_json(), changed)
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
        options = Options(queue=letter.queue, correlation_id=letter.correlation_id or None, replay_of=letter.job_id)
        job_id = enqueue(task, args, kwargs, options)
        _mark_replayed(letter, job_id)
        _record("replay corrected", actor, {"letter": str(letter.pk), "job": str(job_id)}, 1)
    return job_id


def corrected_arguments(letter: DeadLetter, shown: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments for a replay as somebody has corrected them who was shown them by name.

    Args:
        letter: whose arguments they were.
        shown: as they are to be; what reads `[redacted]` still has the value that nobody was shown.

    Returns:
        Those that have no name but their position, and the others by name.
    """
    originals = _named(letter)
    kept = {name for name, value in shown.items() if value == HIDDEN and is_hidden(letter.task, name)}
    kwargs = {name: originals.get(name, value) if name in kept else value for name, value in shown.items()}
    positions = sorted((name for name in kwargs if name.isdecimal()), key=int)
    return [kwargs.pop(position) for position in positions], kwargs


def _named(letter: DeadLetter) -> dict[str, Any]:
    signature = getattr(registered().get(letter.task), "_signature", None)
    names = list(signature.parameters) if signature else []
    values = letter.args or []
    named = {names[index] if index < len(names) else str(index): value for index, value in enumerate(values)}
    return {**named, **(letter.kwargs or {})}


def pause_queue(name: str, *, actor: str) -> None:
    """Let no job of a queue begin until it is resumed; what runs goes on. Holds over restarts."""
    with transaction.atomic():
        Queue.objects.update_or_create(name=name, defaults={"paused_at": timezone.now(), "paused_by": actor})
        _record("pause", actor, {"queue": name}, 1)


def resume_queue(name: str, *, actor: str) -> None:
    """Let the jobs of a queue begin again."""
    with transaction.atomic():
        Queue.objects.filter(name=name).update(paused_at=None, paused_by="")
        redispatch_queue(name)
        _record("resume", actor, {"queue": name}, 1)


def _on_jobs(
    action: str,
    selection: JobFilter,
    states: tuple[State, ...],
    change: Callable[[Sequence[uuid.UUID]], int],
    actor: str,
    *,
    dry_run: bool,
) -> Result:
    found = selection.jobs().filter(state__in=states)
    matched = found.order_by().count()
    if dry_run:
        return Result(matched, 0)
    with _recorded(action, actor, selection.as_json()) as progress:
        for ids in _slices(found, BATCH):
            if progress.is_late:
                break
            with transaction.atomic():
                progress.changed += change(ids)
            progress.seen += len(ids)
    return progress.result(matched)


def _on_letters(
    action: str, selection: LetterFilter, change: Callable[[DeadLetter], bool], actor: str, *, dry_run: bool
) -> Result:
    found = selection.letters()
    matched = found.order_by().count()
    if dry_run:
        return Result(matched, 0)
    with _recorded(action, actor, selection.as_json()) as progress:
        for ids in _slices(found, LETTERS):
            for letter in DeadLetter.objects.filter(pk__in=ids).order_by("pk"):
                if progress.is_late:
                    break
                _try(change, letter, progress)
    return progress.result(matched)


def _try(change: Callable[[DeadLetter], bool], letter: DeadLetter, progress: "_Progress") -> None:
    """Change one letter. What does not fit is its own affair, and stops no other."""
    progress.seen += 1
    try:
        with transaction.atomic():
            progress.changed += change(letter)
    except (EnqueueError, UnknownTask, ValueError, TypeError, LookupError) as exc:
        progress.refuse(letter.pk, exc)
    except publisher.BrokerGone as exc:
        if not progress.changed:
            raise
        # The others would not go any better.
        progress.refuse(letter.pk, exc)
        progress.stop()


@dataclass(slots=True)
class _Progress:
    """How far an action has come."""

    ends_at: float
    seen: int = 0
    changed: int = 0
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def is_late(self) -> bool:
        """Whether it must end: whoever asked waits for an answer."""
        return time.monotonic() >= self.ends_at

    def refuse(self, row_id: uuid.UUID, exc: Exception) -> None:
        if len(self.refusals) < MOST_REFUSED:
            self.refusals.append(Refusal(row_id, str(exc)[:500]))

    def stop(self) -> None:
        self.ends_at = float("-inf")

    def result(self, matched: int) -> Result:
        return Result(matched, self.changed, tuple(self.refusals), max(0, matched - self.seen))


@contextmanager
def _recorded(action: str, actor: str, target: dict[str, Any]) -> Iterator[_Progress]:
    """Record an action before it begins, and complete the record however it ends: nothing happens unrecorded."""
    progress = _Progress(time.monotonic() + MOST_SECONDS)
    entry = _record(action, actor, target, 0)
    try:
        yield progress
    finally:
        OperatorAction.objects.filter(pk=entry.pk).update(count=progress.changed)


def _slices(found: QuerySet[Any], size: int) -> Iterator[list[uuid.UUID]]:
    """Return the ids of what is found, some at a time and in one order: each once, though it may match again."""
    last: uuid.UUID | None = None
    while True:
        after = found if last is None else found.filter(pk__gt=last)
        ids = list(after.order_by("pk").values_list("pk", flat=True)[:size])
        if not ids:
            return
        yield ids
        last = ids[-1]


def _requeue(ids: Sequence[uuid.UUID]) -> int:
    jobs = operate.requeue(ids)
    # What they left when they died is answered by that.
    close([job.id for job in jobs])
    messages = [outgoing(job, retries=job.attempt) for job in jobs]
    transaction.on_commit(lambda: dispatcher().submit(messages))
    return len(jobs)


def _replay(letter: DeadLetter, *, force: bool) -> bool:
    try:
        _refuse_twice(letter, force=force)
    except TransitionRefused:
        return False
    if letter.job_id is None:
        _mark_replayed(letter, _deliver_anew(letter))
    elif _requeue([letter.job_id]):
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
        args, kwargs = loads(json.dumps(letter.args)), loads(json.dumps(letter.kwargs))
        return enqueue(task, args, kwargs, Options(correlation_id=letter.correlation_id or None))
    message = letters.original(bytes(letter.body), letter.content_type, letter.content_encoding, letter.headers)
    publisher.send(letter.queue, message)
    return None


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


def _record(action: str, actor: str, target: dict[str, Any], count: int) -> OperatorAction:
    return OperatorAction.objects.create(action=action, actor=actor, target=target, count=count)
