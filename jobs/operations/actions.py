"""What an operator can do: retry, cancel, pause, resume. One job or all that match a filter.

Admin, dashboard, API and command line call these and nothing below them. Each says who asks, is recorded with
its filter and count, and can say first how many it would concern (`dry_run`).
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from jobs.compose import groups
from jobs.core.states import FINAL, WAITING, State
from jobs.deadletters.missing import close
from jobs.enqueue.dispatcher import dispatch
from jobs.ledger import operate
from jobs.ledger.maintain import redispatch_queue
from jobs.ledger.sql import RowLocked
from jobs.models import Job, Queue
from jobs.operations.bulk import Progress, Result, record, recorded, slices
from jobs.operations.filters import JobFilter
from jobs.operations.pauses import NO_PAUSE, pause_of, told

#: Rows changed in one transaction: locks stay short however many match.
BATCH = 500


RETRYABLE = tuple(sorted(FINAL | WAITING))
CANCELLABLE = tuple(sorted(WAITING | {State.QUEUED, State.RUNNING}))


def retry_jobs(selection: JobFilter, *, actor: str, dry_run: bool = False, from_step: int | None = None) -> Result:
    """Put jobs that ended, or wait for a later time, into their queues now; history kept, retries begun anew.

    They go on after the last step that is kept; those that had succeeded begin anew. `from_step` is the number of a
    step: those that have it do their work again from there.
    """
    found = selection.jobs().filter(state__in=RETRYABLE)
    target = selection.as_json()
    if from_step is not None:
        found, target = found.filter(steps__number=from_step), {**target, "from_step": from_step}
    return change_chosen(Chosen("retry", found, target), partial(requeue, from_step=from_step), actor, dry_run=dry_run)


def cancel_jobs(selection: JobFilter, *, actor: str, dry_run: bool = False) -> Result:
    """Cancel jobs that have not ended. A running one is ended by its worker within a moment."""

    def cancel(ids: Sequence[uuid.UUID]) -> int:
        return groups.cancel(ids, f"Cancelled by {actor}.") + operate.ask_to_cancel(ids)

    found = selection.jobs().filter(state__in=CANCELLABLE)
    return change_chosen(Chosen("cancel", found, selection.as_json()), cancel, actor, dry_run=dry_run)


def pause_queue(name: str, *, actor: str, reason: str = "", until: datetime | None = None) -> None:
    """Let no job of a queue begin until it is resumed; what runs goes on. Holds over restarts.

    Args:
        name: the queue's.
        actor: who asks.
        reason: why, for whoever wonders.
        until: when it ends by itself; None for never.
    """
    said = pause_of(actor, reason, until)
    with transaction.atomic():
        Queue.objects.update_or_create(name=name, defaults=said)
        record("pause", actor, {"queue": name, **told(reason, until)}, 1)


def resume_queue(name: str, *, actor: str) -> None:
    """Let the jobs of a queue begin again."""
    with transaction.atomic():
        Queue.objects.filter(name=name).update(**NO_PAUSE)
        redispatch_queue(name)
        record("resume", actor, {"queue": name}, 1)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Jobs that an action concerns, and the record of that.

    Attributes:
        action: its name.
        jobs: those in a state that allows it.
        target: how they were chosen.
    """

    action: str
    jobs: QuerySet[Job]
    target: dict[str, Any]


def change_chosen(chosen: Chosen, change: Callable[[Sequence[uuid.UUID]], int], actor: str, *, dry_run: bool) -> Result:
    """Change jobs, some in each transaction, and record that; in a dry run only count them."""
    matched = chosen.jobs.order_by().count()
    if dry_run:
        return Result(matched, 0)
    with recorded(chosen.action, actor, chosen.target) as progress:
        for ids in slices(chosen.jobs, BATCH):
            if progress.is_late:
                break
            _change_some(ids, change, progress)
    return progress.result(matched)


def _change_some(ids: Sequence[uuid.UUID], change: Callable[[Sequence[uuid.UUID]], int], progress: Progress) -> None:
    """Change jobs in one transaction; where somebody holds what one of them counts in, each in its own."""
    try:
        with transaction.atomic():
            changed = change(ids)
    except RowLocked as exc:
        if len(ids) > 1:
            for job_id in ids:
                if progress.is_late:
                    break
                _change_some([job_id], change, progress)
            return
        changed = 0
        progress.refuse(ids[0], exc)
    progress.changed += changed
    progress.seen += len(ids)


def requeue(ids: Sequence[uuid.UUID], from_step: int | None = None) -> int:
    """Put jobs into their queues again, to be dispatched on commit; what they left when they died is closed.

    Returns:
        How many it were.
    """
    jobs = groups.requeue(ids, from_step)
    close([job.id for job in jobs])
    transaction.on_commit(lambda: dispatch(jobs))
    return len(jobs)
