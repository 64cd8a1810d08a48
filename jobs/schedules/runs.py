"""The runs of a schedule: the one that is due, those to come, the latest."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import islice

from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs.models import ScheduleRun
from jobs.schedules.plan import CannotRun, timing_of
from jobs.schedules.times import Once, Timing


def due_at(row: PeriodicTask, timing: Timing, now: datetime) -> datetime | None:
    """Return the first time for which a schedule has not run, which may have passed; None where there is none."""
    found = _due_at(row, timing, now)
    return None if found is None or (row.expires and found >= row.expires) else found


def _due_at(row: PeriodicTask, timing: Timing, now: datetime) -> datetime | None:
    start: datetime | None = row.start_time
    has_run = row.last_run_at is not None or row.total_run_count > 0
    if row.one_off and row.total_run_count:
        return None
    if not has_run and isinstance(timing, Once):
        return timing.starting(start or timing.at)
    if not has_run and start:
        return timing.starting(start)
    found = timing.after(counted_from(row, now))
    return timing.starting(start) if found and start and found < start else found


def counted_from(row: PeriodicTask, now: datetime) -> datetime:
    """Return the time from which the next run is counted: the last run, or when the schedule was made or changed.

    A last run that has yet to come, by a clock that went wrong or a hand in the table, is not believed: the latest one
    on record is. Else the schedule would be silent until then.
    """
    last: datetime | None = row.last_run_at
    if last is not None and last <= now:
        return last
    since: datetime = row.date_changed
    if last is not None:
        runs = ScheduleRun.objects.filter(schedule=row.pk, asked_by="", due_at__lte=now).order_by("-due_at")
        since = runs.values_list("due_at", flat=True).first() or since
    return min(since, now)


def next_runs(row: PeriodicTask, count: int = 5, after: datetime | None = None) -> list[datetime]:
    """Return the times of a schedule after one (now), in its own time zone; fewer than `count` where it ends."""
    try:
        timing = timing_of(row)
    except CannotRun:
        return []
    return _told(row, timing, _beginning(row, timing, after or timezone.now()), count)


def coming_runs(row: PeriodicTask, count: int = 5) -> list[datetime]:
    """Return the next runs of a schedule, in its own time zone: none of one that is off.

    A missed one is not among them: Beat makes up for it as soon as it runs, and counts on from there.
    """
    now = timezone.now()
    try:
        timing = timing_of(row)
    except CannotRun:
        return []
    due = due_at(row, timing, now) if row.enabled else None
    if due is None:
        return []
    return _told(row, timing, due if due > now else _beginning(row, timing, now), count)


def _beginning(row: PeriodicTask, timing: Timing, moment: datetime) -> datetime | None:
    """Return the first time after a moment at which a schedule may run."""
    start: datetime | None = row.start_time
    return timing.starting(start) if start and start > moment else timing.after(moment)


def _told(row: PeriodicTask, timing: Timing, first: datetime | None, count: int) -> list[datetime]:
    moments = islice(_from(timing, first), 1 if row.one_off else count)
    return [_shown(at, timing.zone) for at in moments if not row.expires or at < row.expires]


def _from(timing: Timing, first: datetime | None) -> Iterator[datetime]:
    while first is not None:
        yield first
        first = timing.after(first)


def _shown(moment: datetime, zone: tzinfo) -> datetime:
    try:
        return moment.astimezone(zone)
    except OverflowError:
        # At the ends of the calendar some zones have no time for it.
        return moment.astimezone(UTC)


def latest_run(row: PeriodicTask) -> ScheduleRun | None:
    """Return a schedule's latest run; its `job` says what came of it."""
    return ScheduleRun.objects.filter(schedule=row.pk).order_by("-due_at").first()


def latest_runs() -> dict[int, ScheduleRun]:
    """Return the latest run of every schedule that has run, by the schedule's key, in one statement."""
    of_one = ScheduleRun.objects.filter(schedule=OuterRef("pk")).order_by("-due_at").values("pk")[:1]
    latest = PeriodicTask.objects.annotate(latest=Subquery(of_one)).values("latest")
    return {run.schedule_id: run for run in ScheduleRun.objects.filter(pk__in=latest)}
