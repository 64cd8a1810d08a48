"""What failed lately, by task and error: attempts that were tried again as well as those that ended a job."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Max, Q

from jobs.core.states import State
from jobs.models import Attempt
from jobs.tasks.registry import present_name

#: At most so many attempts are looked at, the newest: they have no index by time, and need none.
MOST = 20_000


@dataclass
class Trouble:
    """What one task failed with since a time, under whichever of its names.

    Attributes:
        failed: attempts that failed.
        died: those of them that ended their job.
        errors: how often each type of error came.
    """

    task: str
    latest_at: datetime
    failed: int = 0
    died: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """Types of errors and how often each came, the most frequent first."""
        return self.errors.most_common()


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
    for name, error_type, failed, died, latest_at in rows:
        task = present_name(name)
        trouble = found.setdefault(task, Trouble(task, latest_at))
        trouble.latest_at = max(trouble.latest_at, latest_at)
        trouble.failed += failed
        trouble.died += died
        trouble.errors[error_type] += failed
    return sorted(found.values(), key=lambda trouble: (-trouble.failed, trouble.task))[:limit]
