"""The overview: is it all right, and the figures behind the answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs import schedules
from jobs.core.states import State
from jobs.models import DeadLetter, Job
from jobs.reports import counts, workers
from jobs.reports.queues import queues
from jobs.reports.remembered import remembered
from jobs.reports.throughput import SPANS, Span, throughput
from jobs.reports.troubles import troubles
from jobs.web.dashboard.access import page
from jobs.web.dashboard.charts import Chart, throughput_chart, wait_chart
from jobs.web.dashboard.pages import TICKS, show
from jobs.web.dashboard.verdict import Deaf, Facts, HeldBackJobs, Missed, Silence, is_missed, judge

#: How long figures are good for, in seconds: however many look, each is counted once in that time.
FRESH = 2.0

UPCOMING = 5


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The next run of a schedule."""

    schedule: PeriodicTask
    at: datetime


@page
def overview(request: HttpRequest) -> HttpResponse:
    """Show the overview."""
    now = timezone.now()
    span = SPANS.get(request.GET.get("span", ""), SPANS["hour"])
    facts = remembered("facts", FRESH, lambda: _facts(now))
    done, waited = remembered(f"charts {span.name}", FRESH, lambda: _charts(span, now))
    return show(
        request,
        "overview",
        "overview",
        events=TICKS,
        verdict=judge(facts, now),
        counts=remembered("counts", FRESH, counts.by_state),
        span=span,
        spans=SPANS.values(),
        done=done,
        waited=waited,
        queues=facts.queues,
        troubles=remembered("troubles", FRESH, lambda: troubles(now - timedelta(days=1))),
        upcoming=remembered("upcoming", FRESH, lambda: _upcoming(now)),
        workers=workers.recent(),
    )


def _charts(span: Span, now: datetime) -> tuple[Chart, Chart]:
    steps = throughput(span, now)
    return throughput_chart(steps), wait_chart(steps)


def _facts(now: datetime) -> Facts:
    letters = DeadLetter.objects.filter(replayed_at=None, discarded_at=None)
    present = list(workers.recent())
    alive = [worker for worker in present if workers.presence(worker) is workers.Presence.ALIVE]
    names = {worker.name for worker in alive}
    return Facts(
        queues=queues(),
        workers=len(alive),
        died_today=letters.filter(failed_at__gte=now - timedelta(days=1)).count(),
        died_lately=letters.filter(failed_at__gte=now - timedelta(hours=1)).count(),
        missed=[Missed(schedule.name, due) for schedule, due in _due(now) if is_missed(due, now)],
        held_back=held_back(),
        # One that came back under its name is not missed.
        silent=[
            Silence(worker.name, worker.seen_at, worker.running)
            for worker in present
            if workers.presence(worker) is workers.Presence.SILENT and worker.name not in names
        ],
        deaf=[Deaf(worker.name, reason) for worker in alive if (reason := workers.deaf(worker))],
        refused=workers.refused_queues(alive),
    )


def held_back() -> HeldBackJobs | None:
    """Return the jobs that no worker's code can run, or None."""
    found = Job.objects.filter(state=State.QUEUED, held_by__isnull=False).order_by()
    count, since = found.aggregate(count=Count("pk"), since=Min("held_since")).values()
    return HeldBackJobs(count, since) if count else None


def _due(now: datetime) -> list[tuple[PeriodicTask, datetime]]:
    """Return each enabled schedule with the first time after its last run, which may have passed."""
    found = []
    for schedule in _enabled():
        since = max(filter(None, (schedule.last_run_at, schedule.start_time, schedule.date_changed)), default=now)
        due: Any = next(iter(schedules.next_runs(schedule, 1, after=since)), None)
        if due is not None:
            found.append((schedule, due))
    return found


def _upcoming(now: datetime) -> list[Upcoming]:
    found = [Upcoming(schedule, runs[0]) for schedule in _enabled() if (runs := coming_runs(schedule, now))]
    return sorted(found, key=lambda one: one.at)[:UPCOMING]


def coming_runs(schedule: PeriodicTask, now: datetime) -> list[datetime]:
    """Return the next runs; an interval counts from the last run, and starts at once where that is missed."""
    runs: list[datetime] = schedules.next_runs(schedule, UPCOMING, after=schedule.last_run_at or now)
    return runs if runs and runs[0] > now else schedules.next_runs(schedule, UPCOMING, after=now)


def _enabled() -> list[PeriodicTask]:
    return list(schedules.readable().filter(enabled=True).select_related("crontab", "interval", "clocked", "solar"))
