"""The schedules: when each runs, in words and in times, and what came of the last run."""

from dataclasses import dataclass
from datetime import datetime

from cron_descriptor import ExpressionDescriptor, Options
from django.http import HttpRequest, HttpResponse
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from jobs.dashboard.access import page
from jobs.dashboard.pages import TICKS, show
from jobs.models import Job, ScheduleRun
from jobs.schedules import Entry, coming_runs, entries, latest_run


@dataclass(frozen=True, slots=True)
class Line:
    """A schedule as the page shows it."""

    schedule: PeriodicTask
    timing: str
    expression: str
    zone: str
    cannot_run: str
    next_runs: tuple[datetime, ...]
    last: ScheduleRun | None
    job: Job | None


@page
def schedules(request: HttpRequest) -> HttpResponse:
    """Show every schedule, those that run first."""
    lines = sorted(map(_line, entries()), key=lambda line: not line.schedule.enabled)
    return show(request, "schedules", "schedules", events=TICKS, entries=lines)


def _line(entry: Entry) -> Line:
    last = latest_run(entry.row)
    crontab = entry.row.crontab if entry.is_loaded else None
    return Line(
        schedule=entry.row,
        timing=timing(entry),
        expression="" if crontab is None else expression(crontab),
        zone="" if crontab is None else str(crontab.timezone),
        cannot_run=entry.fault,
        next_runs=() if entry.fault else tuple(coming_runs(entry.row)),
        last=last,
        job=None if last is None else last.job,
    )


def timing(entry: Entry) -> str:
    """Return when a schedule runs, in words."""
    if not entry.is_loaded:
        return ""
    if entry.row.crontab:
        return in_words(expression(entry.row.crontab))
    return "Once" if entry.row.clocked else entry.timing_text.capitalize()


def expression(crontab: CrontabSchedule) -> str:
    """Return a crontab as its five fields."""
    return f"{crontab.minute} {crontab.hour} {crontab.day_of_month} {crontab.month_of_year} {crontab.day_of_week}"


def in_words(expression: str) -> str:
    """Return a cron expression in words; as it is where it has none."""
    options = Options()
    options.use_24hour_time_format = True
    options.verbose = False
    try:
        return str(ExpressionDescriptor(expression, options).get_description())
    except Exception:  # noqa: BLE001 (it parses with expressions and indexes of its own, and raises what they raise)
        return expression
