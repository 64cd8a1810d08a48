"""The overview: is it all right, and the figures behind the answer."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs import schedules
from jobs.core.states import State
from jobs.dashboard.access import page
from jobs.dashboard.charts import Chart, throughput_chart, wait_chart
from jobs.dashboard.pages import TICKS, show
from jobs.dashboard.verdict import Deaf, Facts, Faulty, HeldBackJobs, Missed, Silence, is_missed, judge
from jobs.models import DeadLetter, Job
from jobs.reports import counts, workers
from jobs.reports.queues import queues
from jobs.reports.remembered import remembered
from jobs.reports.throughput import SPANS, Span, throughput
from jobs.reports.troubles import troubles
from jobs.schedules import Entry, coming_runs, due_at

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
        upcoming=remembered("upcoming", FRESH, _upcoming),
        workers=workers.recent(),
    )


def _charts(span: Span, now: datetime) -> tuple[Chart, Chart]:
    steps = throughput(span, now)
    return throughput_chart(steps), wait_chart(steps)


def _facts(now: datetime) -> Facts:
    letters = DeadLetter.objects.filter(replayed_at=None, discarded_at=None)
    present = list(workers.recent())
    alive = [worker for worker in present if workers.presence(worker) is workers.Presence.ALIVE]
    enabled = _enabled()
    return Facts(
        queues=queues(),
        workers=len(alive),
        died_today=letters.filter(failed_at__gte=now - timedelta(days=1)).count(),
        died_lately=letters.filter(failed_at__gte=now - timedelta(hours=1)).count(),
        missed=_missed(enabled, now),
        faulty=[Faulty(entry.row.name, entry.fault) for entry in enabled if entry.fault],
        held_back=held_back(),
        silent=[
            Silence(worker.name, worker.seen_at, worker.running)
            for worker in present
            if workers.presence(worker) is workers.Presence.SILENT
        ],
        deaf=[Deaf(worker.name, reason) for worker in alive if (reason := workers.deaf(worker))],
        refused=workers.refused_queues(alive),
    )


def held_back() -> HeldBackJobs | None:
    """Return the jobs that no worker's code can run, or None."""
    found = Job.objects.filter(state=State.QUEUED, held_by__isnull=False).order_by()
    count, since = found.aggregate(count=Count("pk"), since=Min("held_since")).values()
    return HeldBackJobs(count, since) if count else None


def _missed(entries: list[Entry], now: datetime) -> list[Missed]:
    """Return the schedules that should have fired by now."""
    dues = [(entry.row.name, due_at(entry.row, entry.plan.timing, now)) for entry in entries if entry.plan]
    return [Missed(name, due) for name, due in dues if due is not None and is_missed(due, now)]


def _upcoming() -> list[Upcoming]:
    found = [Upcoming(entry.row, runs[0]) for entry in _enabled() if entry.plan and (runs := coming_runs(entry.row, 1))]
    return sorted(found, key=lambda one: one.at)[:UPCOMING]


def _enabled() -> list[Entry]:
    return [entry for entry in schedules.entries() if entry.row.enabled]
