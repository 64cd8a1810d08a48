"""What failed lately, by task and error: attempts that were tried again as well as those that ended a job."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Max, Q

from jobs.core.states import State
from jobs.models import Attempt

#: At most so many attempts are looked at, the newest: they have no index by time, and need none.
MOST = 20_000


@dataclass
class Trouble:
    """What one task failed with since a time.

    Attributes:
        failed: attempts that failed.
        died: those of them that ended their job.
        kinds: types of errors and how often each came, the most frequent first.
    """

    task: str
    latest_at: datetime
    failed: int = 0
    died: int = 0
    kinds: list[tuple[str, int]] = field(default_factory=list)


def troubles(since: datetime, limit: int = 8) -> Sequence[Trouble]:
    """Return what failed since a time, the task that failed most first."""
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True)
    oldest = newest[MOST : MOST + 1].first() or 0
    rows = (
        Attempt.objects.filter(pk__gt=oldest, finished_at__gte=since, outcome__in=[State.RETRYING, State.DEAD])
        .order_by()
        .values_list("job__task", "error_type")
        .annotate(failed=Count("pk"), died=Count("pk", filter=Q(outcome=State.DEAD)), latest=Max("finished_at"))
        .order_by("-failed")
    )
    found: dict[str, Trouble] = {}
    for task, error_type, failed, died, latest_at in rows:
        trouble = found.setdefault(task, Trouble(task, latest_at))
        trouble.latest_at = max(trouble.latest_at, latest_at)
        trouble.failed += failed
        trouble.died += died
        trouble.kinds.append((error_type, failed))
    return sorted(found.values(), key=lambda trouble: (-trouble.failed, trouble.task))[:limit]
