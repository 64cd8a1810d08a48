"""How a group of jobs stands: its members by state, how far it is, and how long it will take at this rate."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet
from django.utils import timezone

from jobs.core.states import FINAL, State
from jobs.models import Job, JobGroup


@dataclass(frozen=True, slots=True)
class GroupReport:
    """A group, and how it stands.

    Attributes:
        states: how many of its members are in each state; those that have ended are counted though they are deleted.
        to_come: members that are not there yet: the last steps of chains whose first ones go on.
        seconds_left: until all have ended at the rate so far; None where nobody can tell.
    """

    group: JobGroup
    states: Mapping[State, int]
    to_come: int
    seconds_left: float | None

    @property
    def ended(self) -> int:
        """How many members have ended."""
        return sum(self.states[state] for state in FINAL)

    @property
    def failed(self) -> int:
        """How many of them did not succeed."""
        return self.states[State.DEAD] + self.states[State.CANCELLED]

    @property
    def callbacks(self) -> list[tuple[str, str]]:
        """What follows, by its role, as the names of tasks."""
        kept = self.group.callbacks or {}
        roles = [
            ("body", self.group.body),
            *((name, kept.get(name)) for name in ("on_success", "on_dead", "on_progress")),
        ]
        return [(role, _task_of(signature)) for role, signature in roles if signature]


def report(group_id: uuid.UUID) -> GroupReport | None:
    """Return how a group stands; None where there is none."""
    group = JobGroup.objects.filter(pk=group_id).first()
    return None if group is None else _report(group, timezone.now())


def members(group_id: uuid.UUID) -> QuerySet[Job]:
    """Return the members of a group, in their order; what only leads to one is left out."""
    return (
        Job.objects.filter(group_id=group_id, group_index__isnull=False).defer("result").order_by("group_index", "pk")
    )


def _report(group: JobGroup, now: datetime) -> GroupReport:
    # What leads to a member, and has not ended, stands for it.
    there = Job.objects.filter(group_id=group.pk).exclude(state__in=FINAL).order_by()
    known = {State.SUCCEEDED: group.succeeded, State.DEAD: group.dead, State.CANCELLED: group.cancelled}
    known |= {State(state): number for state, number in there.values_list("state").annotate(Count("pk"))}
    states = {state: known.get(state, 0) for state in State}
    return GroupReport(group, states, max(0, group.size - sum(states.values())), _seconds_left(group, now))


def _seconds_left(group: JobGroup, now: datetime) -> float | None:
    ended = group.size - group.waiting
    if not group.waiting or not ended:
        return None
    return (now - group.created_at).total_seconds() / ended * group.waiting


def _task_of(signature: Any) -> str:
    """Return what a signature says of itself: its task's name, or those of its steps."""
    if not isinstance(signature, Mapping):
        return ""
    steps = (signature.get("kwargs") or {}).get("tasks")
    if signature.get("subtask_type") in {"chain", "group"} and isinstance(steps, Sequence):
        return ", ".join(_task_of(step) for step in steps)
    return str(signature.get("task") or "")
