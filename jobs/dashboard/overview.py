"""The overview: is it all right, and the figures behind the answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs.dashboard.access import page
from jobs.dashboard.charts import Chart, throughput_chart, wait_chart
from jobs.dashboard.pages import TICKS, show
from jobs.reports import counts, workers
from jobs.reports.facts import enabled_schedules, facts
from jobs.reports.remembered import remembered
from jobs.reports.throughput import SPANS, Span, throughput
from jobs.reports.troubles import troubles
from jobs.reports.verdict import judge
from jobs.schedules import coming_runs

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
    known = remembered("facts", FRESH, lambda: facts(now))
    done, waited = remembered(f"charts {span.name}", FRESH, lambda: _charts(span, now))
    return show(
        request,
        "overview",
        "overview",
        events=TICKS,
        verdict=judge(known, now),
        counts=remembered("counts", FRESH, counts.by_state),
        span=span,
        spans=SPANS.values(),
        done=done,
        waited=waited,
        queues=known.queues,
        troubles=remembered("troubles", FRESH, lambda: troubles(now - timedelta(days=1))),
        upcoming=remembered("upcoming", FRESH, _upcoming),
        workers=[worker for worker, _ in workers.by_presence(workers.recent())],
    )


def _charts(span: Span, now: datetime) -> tuple[Chart, Chart]:
    steps = throughput(span, now)
    return throughput_chart(steps), wait_chart(steps)


def _upcoming() -> list[Upcoming]:
    found = [
        Upcoming(entry.row, runs[0])
        for entry in enabled_schedules()
        if entry.plan and (runs := coming_runs(entry.row, 1))
    ]
    return sorted(found, key=lambda one: one.at)[:UPCOMING]
