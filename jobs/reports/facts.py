"""What is found of how things are: what the verdict is about, for the overview and for alerts."""

from datetime import datetime, timedelta

from django.db.models import Count, Min, Q

from jobs import schedules
from jobs.core.held_by import FOR_NEWER_CODE, HeldBy
from jobs.core.states import State
from jobs.models import DeadLetter, Job
from jobs.reports import breakers, workers
from jobs.reports.lags import housekeeping_lag
from jobs.reports.queues import queues
from jobs.reports.verdict import Deaf, Facts, Faulty, HeldBackJobs, Missed, OpenBreaker, Silence, is_missed
from jobs.schedules import Entry, due_at


def facts(now: datetime) -> Facts:
    """Return what there is to judge."""
    letters = DeadLetter.objects.filter(replayed_at=None, discarded_at=None)
    present = list(workers.recent())
    alive = [worker for worker in present if workers.presence(worker) is workers.Presence.ALIVE]
    enabled = enabled_schedules()
    return Facts(
        queues=queues(),
        workers=len(alive),
        died_today=letters.filter(failed_at__gte=now - timedelta(days=1)).count(),
        died_lately=letters.filter(failed_at__gte=now - timedelta(hours=1)).count(),
        missed=_missed(enabled, now),
        faulty=[Faulty(entry.row.name, entry.fault) for entry in enabled if entry.fault],
        held_back=held_back(),
        housekeeping_lag=housekeeping_lag(now),
        breakers=[
            OpenBreaker(one.name, one.sentence(now), is_wanted=bool(one.opened_by))
            for one in breakers.every()
            if not one.is_closed
        ],
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
    found = Job.objects.filter(state=State.QUEUED, held_by__in=FOR_NEWER_CODE).order_by()
    keyless = Count("pk", filter=Q(held_by=HeldBy.NO_KEY))
    counted = found.aggregate(count=Count("pk"), since=Min("held_since"), without_key=keyless)
    return HeldBackJobs(**counted) if counted["count"] else None


def _missed(entries: list[Entry], now: datetime) -> list[Missed]:
    """Return the schedules that should have fired by now."""
    dues = [(entry.row.name, due_at(entry.row, entry.plan.timing, now)) for entry in entries if entry.plan]
    return [Missed(name, due) for name, due in dues if due is not None and is_missed(due, now)]


def enabled_schedules() -> list[Entry]:
    """Return the schedules that run at their times."""
    return [entry for entry in schedules.entries() if entry.row.enabled]
