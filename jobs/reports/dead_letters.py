"""Dead letters by task and kind of error: one decision is enough for two hundred letters."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.db.models import Count, Max, Min

from jobs.operations.filters import DeadLetterFilter
from jobs.reports.fingerprints import fingerprint
from jobs.tasks.registry import present_name

#: Kinds of errors looked at for the groups, the most frequent ones.
KINDS = 5_000


@dataclass
class Group:
    """Letters of one task, under whichever of its names, that failed in one way."""

    task: str
    reason: str
    error: str
    count: int
    first_at: datetime
    latest_at: datetime

    @property
    def query(self) -> str:
        """What leads to its letters."""
        wanted = {"task": self.task, "reason": self.reason, "error": self.error}
        return urlencode({name: value for name, value in wanted.items() if value}, safe=":,")


def groups(wanted: DeadLetterFilter) -> list[Group]:
    """Return what a filter finds, by task, reason and kind of error, the largest group first."""
    rows = (
        wanted.dead_letters()
        .order_by()
        .values_list("task", "reason", "error")
        .annotate(number=Count("pk"), first=Min("failed_at"), latest=Max("failed_at"))
        .order_by("-number")[:KINDS]
    )
    found: dict[tuple[str, str, str], Group] = {}
    for name, reason, error, number, first, latest in rows:
        task, kind = present_name(name), fingerprint(error)
        group = found.setdefault((task, reason, kind), Group(task, reason, kind, 0, first, latest))
        group.count += number
        group.first_at, group.latest_at = min(group.first_at, first), max(group.latest_at, latest)
    return sorted(found.values(), key=lambda group: (-group.count, group.task, group.error))
