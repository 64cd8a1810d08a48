"""What follows groups: enqueued in the very transaction that records the end of the last member.

Every change of a member's state comes by here, in the transaction that makes it (`settle`). Whatever the counts say
then is done at once: the body of a chord, `on_success`, `on_dead`, `on_progress`, or error links. A group whose last
member waits for another's transaction to end is counted by that one.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from celery import Celery, current_app
from django.db import transaction

from jobs.compose.errbacks import errbacks_of, tell_in_place
from jobs.compose.followers import call, in_place, try_to_call
from jobs.core.places import Place
from jobs.core.states import FINAL, State
from jobs.enqueue.parents import enqueuing_for
from jobs.ledger import groups, operate
from jobs.ledger.groups import Counted, Moved
from jobs.ledger.maintain import Dispatchable
from jobs.tasks.encryption import readable
from jobs.webhooks.events import Change, announce


def settle(app: Celery, moves: Sequence[Moved]) -> None:
    """Count what became of members, and enqueue what follows; within the transaction that changed their states.

    Raises:
        EnqueueError: what follows a group cannot be enqueued. Nothing of the transaction may stand then.
    """
    if not moves:
        return
    last = {moved.place.group_id: moved for moved in moves}
    for group in groups.count(moves):
        _after(app, group, last[group.id])


def _after(app: Celery, group: Counted, last: Moved) -> None:
    with enqueuing_for(last.id, group.correlation_id):
        lineage = {"parent_id": str(last.id), "root_id": last.root_id}
        _tell_of_progress(app, group, lineage)
        if not group.is_followed and group.has_ended and not group.has_failed:
            _succeeded(app, group, lineage)
        elif group.has_failed and not group.had_failed:
            _failed(app, group, lineage)
    if group.outer_id is not None and group.has_failed != group.had_failed:
        _settle_outer(app, group, group.outer_id, last)


def _succeeded(app: Celery, group: Counted, lineage: Mapping[str, Any]) -> None:
    source = f"Group {group.id} succeeded"
    if group.body is not None:
        results = [] if group.body.get("immutable") else [readable(result) for result in groups.results(group.id)]
        call(app, source, group.body, (results,), lineage)
    if link := group.callbacks.get("on_success"):
        call(app, source, link, (str(group.id),), lineage)
    groups.mark_followed(group.id)


def _failed(app: Celery, group: Counted, lineage: Mapping[str, Any]) -> None:
    """Call the error links of the body, and `on_dead`. One that cannot be enqueued takes nothing back."""
    source = f"Group {group.id} has failed"
    # Celery links what a chord's error calls to the chords in its header as well; it is called once, by the outer one.
    outer = None if group.outer_id is None else groups.body(group.outer_id)
    called_later = [link for _, link in errbacks_of(outer)]
    for task_id, link in errbacks_of(group.body):
        if link in called_later:
            continue
        if in_place(app, [link]):
            tell_in_place(link, task_id, str((group.body or {}).get("task")), groups.why_failed(group.id))
        else:
            try_to_call(app, source, link, task_id, {**lineage, "parent_id": task_id})
    if link := group.callbacks.get("on_dead"):
        try_to_call(app, source, link, str(group.id), lineage)


def _tell_of_progress(app: Celery, group: Counted, lineage: Mapping[str, Any]) -> None:
    """Call `on_progress` once for each tenth of the members that has ended."""
    link = group.callbacks.get("on_progress")
    if link is None:
        return
    tenths = 10 * (group.succeeded + group.dead + group.cancelled) // max(1, group.size)
    if tenths > group.told_tenths:
        try_to_call(app, f"Group {group.id} goes on", link, str(group.id), lineage)
        groups.mark_told(group.id, tenths)


def _settle_outer(app: Celery, group: Counted, outer_id: uuid.UUID, last: Moved) -> None:
    """Count the body that will not run, or may again, as a dead member of the group that waits for it."""
    before, after = (None, State.DEAD) if group.has_failed else (State.DEAD, None)
    settle(app, [Moved(last.id, Place(outer_id, None, group.outer_ways), last.root_id, before, after)])


# --- Operators and Celery's remote control ----------------------------------------------------------


def cancel(job_ids: Sequence[uuid.UUID], reason: str) -> int:
    """Cancel jobs that have not begun, count those that are members of groups, tell webhooks. Returns how many."""
    with transaction.atomic():
        # Locked, so that all of them are cancelled.
        waiting = groups.members(job_ids, operate.NOT_BEGUN)
        cancelled = operate.cancel(job_ids, reason)
        settle(current_app, [replace(moved, after=State.CANCELLED, before=None) for moved in waiting.values()])
        announce(Change(*job, State.CANCELLED) for job in cancelled)
    return len(cancelled)


def requeue(job_ids: Sequence[uuid.UUID], from_step: int | None = None) -> list[Dispatchable]:
    """Put jobs into their queues again; groups wait for their members anew. Returns the jobs, to be dispatched."""
    with transaction.atomic():
        ended = groups.members(job_ids, FINAL)
        jobs = operate.requeue(job_ids, from_step)
        settle(current_app, [ended[job.id] for job in jobs if job.id in ended])
    return jobs
