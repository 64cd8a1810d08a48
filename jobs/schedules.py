"""Schedules as people see them: when they run next, what came of the last run, run now."""

import json
import uuid
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from celery import current_app
from celery.schedules import ParseException
from django.db import transaction
from django.db.models import TextField
from django.db.models.functions import Cast
from django.db.models.query import QuerySet
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from jobs.errors import UnknownTask
from jobs.models import OperatorAction, ScheduleRun
from jobs.registry import registered
from jobs.task import JobTask


def readable() -> QuerySet[PeriodicTask]:
    """Return all schedules but those whose time zone nobody knows here: reading one of these raises.

    The admin refuses such a zone. It comes with a database from elsewhere, or goes with a release of the zones.
    """
    found: QuerySet[PeriodicTask] = PeriodicTask.objects.exclude(crontab__in=_in_unknown_zones())
    return found


def unreadable() -> list[str]:
    """Return what is wrong with each of the others."""
    found = (
        PeriodicTask.objects.filter(crontab__in=_in_unknown_zones())
        .annotate(zone=Cast("crontab__timezone", TextField()))
        .values_list("name", "zone")
    )
    return [
        f"Schedule {name!r} never runs: its time zone {zone!r} is not known here. Update tzdata, or correct the zone in"
        " the table django_celery_beat_crontabschedule."
        for name, zone in found
    ]


def _in_unknown_zones() -> list[int]:
    zones = CrontabSchedule.objects.annotate(zone=Cast("timezone", TextField())).values_list("pk", "zone")
    return [key for key, zone in zones if not _is_known(zone)]


def _is_known(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return False
    return True


def next_runs(schedule: PeriodicTask, count: int = 5, after: datetime | None = None) -> list[datetime]:
    """Return when an enabled schedule runs next, in its own time zone; fewer than `count` where it ends."""
    try:
        timing = schedule.schedule
    except (ValueError, ParseException):
        # It names a time that never comes, such as the 30th of February.
        return []
    zone = getattr(timing, "tz", None) or current_app.timezone
    moment = (after or timezone.now()).astimezone(zone)
    found: list[datetime] = []
    if schedule.clocked_id:
        due = schedule.clocked.clocked_time
        return [due.astimezone(zone)] if due > moment else []
    for _ in range(count):
        moment = _following(timing, moment)
        if schedule.expires and moment >= schedule.expires:
            break
        found.append(moment)
    return found


def _following(timing: object, moment: datetime) -> datetime:
    run_every = getattr(timing, "run_every", None)
    if run_every is not None:
        later: datetime = moment + run_every
        return later
    start, delta, _ = timing.remaining_delta(moment)  # type: ignore[attr-defined]
    following: datetime = start + delta
    # Wall-clock arithmetic may land on an hour that the clocks skip; UTC and back puts it where it falls.
    return following.astimezone(UTC).astimezone(moment.tzinfo)


def run_now(schedule: PeriodicTask, *, actor: str) -> uuid.UUID:
    """Enqueue a schedule's job at once, beside its regular runs.

    Returns:
        The job's id.

    Raises:
        UnknownTask: its task is no job registered here.
        EnqueueError: its arguments do not fit the task.
    """
    task = registered().get(schedule.task)
    if not isinstance(task, JobTask):
        raise UnknownTask(f"Schedule {schedule.name!r}: its task {schedule.task!r} is no job registered here.")
    with transaction.atomic():
        result = task.apply_async(
            json.loads(schedule.args or "[]"),
            json.loads(schedule.kwargs or "{}"),
            queue=schedule.queue or None,
            priority=schedule.priority,
            headers={"periodic_task_name": schedule.name},
        )
        job_id = uuid.UUID(result.id)
        ScheduleRun.objects.create(schedule=schedule, due_at=timezone.now(), job_id=job_id, asked_by=actor)
        OperatorAction.objects.create(action="run schedule", actor=actor, target={"schedule": schedule.name})
    return job_id


def latest_run(schedule: PeriodicTask) -> ScheduleRun | None:
    """Return a schedule's latest run; its `job` says what came of it."""
    return ScheduleRun.objects.filter(schedule=schedule).order_by("-due_at").first()


def switch(schedule: PeriodicTask, *, on: bool, actor: str) -> None:
    """Let a schedule run at its times, or let it rest."""
    with transaction.atomic():
        schedule.enabled = on
        # Saving it, not updating its row, tells Beat to read the schedules again.
        schedule.save()
        action = "enable schedule" if on else "disable schedule"
        OperatorAction.objects.create(action=action, actor=actor, target={"schedule": schedule.name})
