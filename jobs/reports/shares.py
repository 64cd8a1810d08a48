"""Who fills a queue: its waiting and running jobs by tenant, and by task."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q
from django.utils import timezone

from jobs.core.limits import Kind
from jobs.core.states import State
from jobs.core.turns import WEIGHT
from jobs.models import FlowRule, Job
from jobs.tasks.registry import present_name

#: The most tenants and the most tasks that are listed: those of whom most wait.
MOST = 50


@dataclass(frozen=True, slots=True)
class Share:
    """What a tenant, or a task, has in a queue.

    Attributes:
        waiting: jobs that are queued, those held back among them.
        held: how many of these are held back.
        part: of all that wait in the queue, from 0 to 1.
        weight: a tenant's, beside others', which weigh 1; None of a task.
        oldest_due_at: since when the longest waiting of those is due that nothing holds back.
    """

    name: str
    waiting: int
    held: int
    running: int
    part: float
    weight: float | None
    oldest_due_at: datetime | None

    @property
    def waiting_seconds(self) -> float | None:
        """How long the oldest has waited; None where none does that might begin."""
        return None if self.oldest_due_at is None else max(0.0, (timezone.now() - self.oldest_due_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Shares:
    """Who fills a queue, by tenant and by task: those of whom most wait, and how many there are."""

    queue: str
    waiting: int
    tenants: list[Share]
    tenants_in_all: int
    tasks: list[Share]
    tasks_in_all: int


def shares_of(queue: str) -> Shares:
    """Return who fills a queue."""
    waiting = Job.objects.filter(queue=queue, state=State.QUEUED).count()
    tenants, tenants_in_all = _shares(queue, "tenant", waiting)
    tasks, tasks_in_all = _shares(queue, "task", waiting)
    return Shares(queue, waiting, tenants, tenants_in_all, tasks, tasks_in_all)


def _shares(queue: str, by: str, whole: int) -> tuple[list[Share], int]:
    jobs = Job.objects.filter(queue=queue).exclude(**{f"{by}__isnull": True}).order_by()
    named = present_name if by == "task" else str
    waiting: dict[str, _Waiting] = {}
    for name, number, held, oldest in (
        jobs.filter(state=State.QUEUED)
        .values_list(by)
        .annotate(
            Count("pk"),
            held=Count("pk", filter=Q(held_by__isnull=False)),
            oldest=Min("run_at", filter=Q(held_by__isnull=True)),
        )
    ):
        waiting[named(name)] = _together(waiting.get(named(name), _NONE), (number, held, oldest))
    running: Counter[str] = Counter()
    for name, number in jobs.filter(state=State.RUNNING).values_list(by).annotate(Count("pk")):
        running[named(name)] += number
    order = sorted({*waiting, *running}, key=lambda name: (-waiting.get(name, _NONE)[0], -running[name], name))
    weights = _weights(order[:MOST]) if by == "tenant" else None
    found = []
    for name in order[:MOST]:
        number, held, oldest = waiting.get(name, _NONE)
        weight = None if weights is None else weights.get(name, WEIGHT)
        found.append(Share(name, number, held, running[name], number / whole if whole else 0.0, weight, oldest))
    return found, len(order)


#: Of what waits: how many, how many of these are held back, and since when the oldest of the others.
_Waiting = tuple[int, int, datetime | None]

_NONE: _Waiting = (0, 0, None)


def _together(one: _Waiting, other: _Waiting) -> _Waiting:
    oldest = [at for at in (one[2], other[2]) if at is not None]
    return one[0] + other[0], one[1] + other[1], min(oldest, default=None)


def _weights(tenants: list[str]) -> Mapping[str, float]:
    rules: Any = FlowRule.objects.filter(kind=Kind.TENANT, name__in=tenants, weight__isnull=False)
    return dict(rules.values_list("name", "weight"))
