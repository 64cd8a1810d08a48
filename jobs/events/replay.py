"""What a client missed while it was away: the jobs that changed since, each as it is now and as it came there.

Nothing is kept for this but the ledger itself, so any gap can be told; a long one is not worth the reading.
"""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from jobs.events import change, passing
from jobs.events.change import Position, Wanted
from jobs.models import Job

#: Rows read at once; and when a gap is too long: so many changed jobs, and so long ago.
BATCH, MOST, LONGEST = 100, 10_000, timedelta(minutes=10)

#: What committed late may lie this much before the last event that a client has.
OVERLAP = timedelta(seconds=10)


class TooLong(Exception):
    """Raised where a client had better look anew than be told everything."""


def missed(since: Position, wanted: Wanted) -> Iterator[bytes]:
    """Return the events since a position, in pieces.

    Raises:
        TooLong: more than `MOST` jobs changed, and that was more than ten minutes ago.
    """
    rows = _rows(wanted)
    now = timezone.now()
    start = min(since.at, now) - OVERLAP
    if now - since.at > LONGEST and _between(rows, start)[MOST : MOST + 1].exists():
        raise TooLong
    after: Position | None = None
    while True:
        page = list(_between(rows, start, after)[:BATCH])
        told = [one for job in page for one in passing.changes(job, since.at)]
        yield change.events(sorted(told, key=lambda one: one.position), wanted)
        if len(page) < BATCH:
            return
        after = Position(page[-1].changed_at, page[-1].pk)


def _rows(wanted: Wanted) -> QuerySet[Job]:
    """Return the jobs that may matter to a stream; their states are looked at one by one."""
    rows = Job.objects.defer("result")
    if wanted.queues:
        rows = rows.filter(queue__in=sorted(wanted.queues))
    if wanted.tasks:
        rows = rows.filter(task__in=sorted(wanted.tasks))
    if wanted.jobs:
        rows = rows.filter(pk__in=wanted.jobs)
    if wanted.groups:
        rows = rows.filter(group_id__in=wanted.groups)
    return rows.order_by("changed_at", "pk")


def _between(rows: QuerySet[Job], start: object, after: Position | None = None) -> QuerySet[Job]:
    if after is None:
        return rows.filter(changed_at__gte=start)
    return rows.filter(changed_at__gte=after.at).filter(Q(changed_at__gt=after.at) | Q(pk__gt=after.job_id))
