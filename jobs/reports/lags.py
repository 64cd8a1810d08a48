"""How far maintenance is behind with what it should have moved."""

from datetime import datetime

from django.db.models import Min

from jobs.core.states import WAITING, State
from jobs.models import Job


def housekeeping_lag(now: datetime) -> float:
    """Return how long, in seconds, the oldest job has been due and not put into its queue, or without a lease."""
    due = Job.objects.filter(state__in=sorted(WAITING), run_at__lte=now)
    overdue = Job.objects.filter(state=State.RUNNING, lease_expires_at__lte=now)
    return max(
        age(due.aggregate(Min("run_at"))["run_at__min"], now),
        age(overdue.aggregate(Min("lease_expires_at"))["lease_expires_at__min"], now),
    )


def age(moment: datetime | None, now: datetime) -> float:
    """Return how long ago a time was, in seconds; 0 for none, and for one to come."""
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())
