"""What failed lately: dead letters by task, and the latest error of each."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max

from jobs.models import DeadLetter


@dataclass(frozen=True, slots=True)
class FailureReport:
    """The dead letters of one task for one reason since a time."""

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
        .order_by("-number", "task")[:limit]
    )
    return [FailureReport(*row) for row in rows]
