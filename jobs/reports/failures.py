"""What failed lately: dead letters by task, and the latest error of each."""

from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Count, Max

from jobs.models import DeadLetter
from jobs.tasks.registry import present_name


@dataclass(frozen=True, slots=True)
class FailureReport:
    """The dead letters of one task, under whichever of its names, for one reason since a time."""

    task: str
    reason: str
    count: int
    latest_at: datetime


def failures(since: datetime, limit: int = 20) -> list[FailureReport]:
    """Return what gave up since a time, the most frequent first."""
    rows = (
        DeadLetter.objects.filter(failed_at__gte=since)
        .order_by()
        .values_list("task", "reason")
        .annotate(number=Count("pk"), latest=Max("failed_at"))
    )
    found: dict[tuple[str, str], FailureReport] = {}
    for name, reason, number, latest in rows:
        task = present_name(name)
        before = found.get((task, reason), FailureReport(task, reason, 0, latest))
        found[task, reason] = replace(before, count=before.count + number, latest_at=max(before.latest_at, latest))
    return sorted(found.values(), key=lambda one: (-one.count, one.task))[:limit]
