"""Counting what happens, once and for all: each look counts what the ledger has taken down since the last one.

The counts are kept in a table of their own, so that they are the same whichever process is asked, cost a worker
nothing, and do not fall when old rows are forgotten. Whoever asks for them counts on; nobody needs to do so in
between.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, transaction
from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, QuerySet, Sum
from django.utils import timezone

from jobs.core.states import FINAL, State
from jobs.models import Attempt, DeadLetter, Job, Tally, TallyMark
from jobs.tasks.registry import present_name

#: The last moments are left for the next look: what was written in them may not be committed yet.
LAG = timedelta(seconds=5)

#: After a long time without a look, so much of it is counted at once; the next looks catch up.
MOST = timedelta(hours=1)

#: Bounds of durations and waits, in seconds.
BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

#: The error of an attempt whose worker went away.
LOST = "WorkerLost"


@dataclass(frozen=True, slots=True)
class Key:
    """What is counted."""

    metric: str
    task: str
    queue: str
    outcome: str = ""


@dataclass(slots=True)
class Amount:
    """How much of it there was."""

    count: int
    seconds: float = 0.0
    buckets: list[int] | None = None

    def __add__(self, other: "Amount") -> "Amount":
        buckets = [sum(pair) for pair in zip(self.buckets or (), other.buckets or (), strict=True)]
        return Amount(self.count + other.count, self.seconds + other.seconds, buckets or None)


def tallies(lag: timedelta = LAG) -> list[Tally]:
    """Return all counts, after counting on. While the database takes no writes they stand still."""
    try:
        count_on(lag)
    except OperationalError:
        # Read-only, or busy for longer than a scrape waits: what was counted so far is still true.
        pass
    return list(Tally.objects.order_by("metric", "task", "queue", "outcome"))


def count_on(lag: timedelta = LAG) -> None:
    """Count what the ledger has taken down since the last time. Whoever comes at the same time leaves it to the first.

    Raises:
        OperationalError: the database takes no writes now.
    """
    now = timezone.now()
    TallyMark.objects.get_or_create(pk=1, defaults={"until": now - lag})
    with transaction.atomic():
        mark = TallyMark.objects.select_for_update(skip_locked=True).filter(pk=1).first()
        if mark is None:
            return
        until = min(now - lag, mark.until + MOST)
        if until > mark.until:
            _add(_between(mark.until, until))
            TallyMark.objects.filter(pk=1).update(until=until)


def _between(since: datetime, until: datetime) -> dict[Key, Amount]:
    found = {
        **_ended_jobs(Job.objects.filter(changed_at__gt=since, changed_at__lte=until, state__in=sorted(FINAL))),
        **_failed_attempts(Attempt.objects.filter(finished_at__gt=since, finished_at__lte=until)),
        **_letters(DeadLetter.objects.filter(archived_at__gt=since, archived_at__lte=until)),
    }
    counted: dict[Key, Amount] = {}
    for key, amount in found.items():
        # What a renamed task did under its old name goes on in one series with the rest.
        present = replace(key, task=present_name(key.task))
        counted[present] = counted[present] + amount if present in counted else amount
    return counted


def _ended_jobs(jobs: QuerySet[Job]) -> dict[Key, Amount]:
    found = {
        Key("finished", task, queue, state): Amount(number)
        for task, queue, state, number in jobs.order_by().values_list("task", "queue", "state").annotate(Count("pk"))
    }
    done = jobs.filter(state=State.SUCCEEDED, started_at__isnull=False)
    for task, queue, amount in _timed(done, "task", "queue", F("finished_at") - F("started_at")):
        found[Key("duration", task, queue, State.SUCCEEDED)] = amount
    for task, queue, amount in _timed(done, "task", "queue", F("started_at") - F("run_at")):
        found[Key("wait", task, queue)] = amount
    return found


def _failed_attempts(attempts: QuerySet[Attempt]) -> dict[Key, Amount]:
    names = ("job__task", "job__queue")
    found: dict[Key, Amount] = {}
    groups = attempts.order_by().values_list(*names, "outcome").annotate(Count("pk"))
    for task, queue, outcome, number in groups:
        found[Key("failed attempts", task, queue, outcome)] = Amount(number)
    lost = attempts.filter(error_type=LOST).order_by().values_list(*names).annotate(Count("pk"))
    for task, queue, number in lost:
        found[Key("rescues", task, queue)] = Amount(number)
    for outcome in {key.outcome for key in found if key.metric == "failed attempts"}:
        ended = attempts.filter(outcome=outcome, started_at__isnull=False)
        for task, queue, amount in _timed(ended, *names, F("finished_at") - F("started_at")):
            found[Key("duration", task, queue, outcome)] = amount
    return found


def _letters(letters: QuerySet[DeadLetter]) -> dict[Key, Amount]:
    groups = letters.order_by().values_list("task", "queue", "reason").annotate(Count("pk"))
    return {Key("dead letters", task, queue, reason): Amount(number) for task, queue, reason, number in groups}


def _timed(rows: QuerySet[Any], task: str, queue: str, length: Any) -> Iterable[tuple[str, str, Amount]]:
    """Group rows by task and queue, and their lengths by the bounds."""
    measured = rows.annotate(length=ExpressionWrapper(length, output_field=DurationField()))
    bounds = {
        f"up_to_{index}": Count("pk", filter=Q(length__lte=timedelta(seconds=bound)))
        for index, bound in enumerate(BOUNDS)
    }
    groups = measured.order_by().values(task, queue).annotate(number=Count("pk"), total=Sum("length"), **bounds)
    for group in groups:
        total = group["total"] or timedelta()
        buckets = [group[name] for name in bounds]
        yield group[task], group[queue], Amount(group["number"], max(0.0, total.total_seconds()), buckets)


def _add(amounts: dict[Key, Amount]) -> None:
    """Add to what has been counted; the caller holds the mark."""
    if not amounts:
        return
    known = {Key(row.metric, row.task, row.queue, row.outcome): row for row in Tally.objects.all()}
    rows = [_sum(key, known.get(key), amount) for key, amount in amounts.items()]
    Tally.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["metric", "task", "queue", "outcome"],
        update_fields=["count", "seconds", "buckets"],
    )


def _sum(key: Key, before: Tally | None, amount: Amount) -> Tally:
    row = Tally(metric=key.metric, task=key.task, queue=key.queue, outcome=key.outcome)
    row.count = amount.count + (before.count if before else 0)
    row.seconds = amount.seconds + (before.seconds if before else 0)
    if amount.buckets is not None:
        earlier = (before.buckets if before else None) or [0] * len(BOUNDS)
        row.buckets = [one + other for one, other in zip(amount.buckets, earlier, strict=True)]
    return row
