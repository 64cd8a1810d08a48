"""The schedules: when each runs, in words and in times, and what came of the last run."""

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django_celery_beat.models import PeriodicTask

from jobs.dashboard.access import page
from jobs.dashboard.pages import TICKS, show
from jobs.models import Job, ScheduleRun
from jobs.schedules import Entry, coming_runs, entries, latest_runs
from jobs.schedules.wording import expression, timing


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
    runs = latest_runs()
    lines = sorted((_line(one, runs.get(one.row.pk)) for one in entries()), key=lambda line: not line.schedule.enabled)
    return show(request, "schedules", "schedules", events=TICKS, entries=lines)


def _line(entry: Entry, last: ScheduleRun | None) -> Line:
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
