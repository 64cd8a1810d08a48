"""What failed lately, by task and error: attempts that were tried again as well as those that ended a job."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q

from jobs.core.states import State
from jobs.models import Attempt

#: At most so many attempts are looked at, the newest: they have no index by time, and need none.
MOST = 20_000


@dataclass(frozen=True, slots=True)
class Trouble:
    """What one task failed with since a time.

    Attributes:
        failed: attempts that failed so.
        died: those of them that ended their job.
    """

    task: str
    error_type: str
    failed: int
    died: int
    latest_at: datetime


def troubles(since: datetime, limit: int = 8) -> Sequence[Trouble]:
    """Return what failed since a time, the most frequent first."""
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True)
    oldest = newest[MOST : MOST + 1].first() or 0
    rows = (
        Attempt.objects.filter(pk__gt=oldest, finished_at__gte=since, outcome__in=[State.RETRYING, State.DEAD])
        .order_by()
        .values_list("job__task", "error_type")
        .annotate(failed=Count("pk"), died=Count("pk", filter=Q(outcome=State.DEAD)), latest=Max("finished_at"))
        .order_by("-failed", "job__task")[:limit]
    )
    return [Trouble(*row) for row in rows]
