"""The schedules: when each runs, in words and in times, and what came of the last run."""

from dataclasses import dataclass
from datetime import datetime

from cron_descriptor import ExpressionDescriptor, FormatException, MissingFieldException, Options
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs.models import Job, ScheduleRun
from jobs.schedules import latest_run, readable
from jobs.web.dashboard.access import page
from jobs.web.dashboard.overview import coming_runs
from jobs.web.dashboard.pages import TICKS, show


@dataclass(frozen=True, slots=True)
class Entry:
    """A schedule as the page shows it."""

    schedule: PeriodicTask
    timing: str
    expression: str
    zone: str
    next_runs: tuple[datetime, ...]
    last: ScheduleRun | None
    job: Job | None


@page
def schedules(request: HttpRequest) -> HttpResponse:
    """Show every schedule, those that run first."""
    now = timezone.now()
    rows = readable().select_related("crontab", "interval", "clocked", "solar").order_by("-enabled", "name")
    return show(request, "schedules", "schedules", events=TICKS, entries=[_entry(schedule, now) for schedule in rows])


def _entry(schedule: PeriodicTask, now: datetime) -> Entry:
    last = latest_run(schedule)
    return Entry(
        schedule=schedule,
        timing=timing(schedule),
        expression=_expression(schedule),
        zone=str(schedule.crontab.timezone) if schedule.crontab else "",
        next_runs=tuple(coming_runs(schedule, now)) if schedule.enabled else (),
        last=last,
        job=None if last is None else last.job,
    )


def timing(schedule: PeriodicTask) -> str:
    """Return when a schedule runs, in words."""
    if schedule.crontab:
        return in_words(_expression(schedule))
    if schedule.clocked:
        return "Once"
    return str(schedule.interval or schedule.solar or "").capitalize()


def _expression(schedule: PeriodicTask) -> str:
    cron = schedule.crontab
    if not cron:
        return ""
    return f"{cron.minute} {cron.hour} {cron.day_of_month} {cron.month_of_year} {cron.day_of_week}"


def in_words(expression: str) -> str:
    """Return a cron expression in words; as it is where it has none."""
    options = Options()
    options.use_24hour_time_format = True
    options.verbose = False
    try:
        return str(ExpressionDescriptor(expression, options).get_description())
    except (FormatException, MissingFieldException, ValueError, IndexError):
        return expression
