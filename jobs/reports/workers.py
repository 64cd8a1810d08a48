"""Workers: who is there, since when, and what became of those who are not."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from jobs.core.states import State
from jobs.models import Job, Worker
from jobs.worker.heartbeat import GONE_AFTER
from jobs.worker.pauses import DEAF

#: How long one that stopped or went silent is still shown, in hours.
SHOWN_HOURS = 1


class Presence(StrEnum):
    """Whether a worker is there."""

    ALIVE = "alive"
    #: It has not been heard of for a while, and had not said that it stops.
    SILENT = "silent"
    STOPPED = "stopped"


def alive() -> QuerySet[Worker]:
    """Return the workers that are there."""
    return Worker.objects.filter(stopped_at=None, seen_at__gte=_silent_before())


def recent() -> QuerySet[Worker]:
    """Return the workers that are there, and those that were until a short while ago and were not replaced."""
    gone = Q(stopped_at__isnull=False) | Q(seen_at__lt=_silent_before())
    found = Worker.objects.filter(seen_at__gte=timezone.now() - timedelta(hours=SHOWN_HOURS))
    return found.exclude(gone & Exists(_successors(OuterRef("name"), OuterRef("seen_at"))))


def presence(worker: Worker) -> Presence:
    """Return whether a worker is there. Nobody misses one that another has replaced: it has stopped, too."""
    if worker.stopped_at is not None:
        return Presence.STOPPED
    if worker.seen_at >= _silent_before():
        return Presence.ALIVE
    return Presence.STOPPED if _successors(worker.name, worker.seen_at).exists() else Presence.SILENT


def by_presence(found: Iterable[Worker]) -> list[tuple[Worker, Presence]]:
    """Return workers with whether they are there: those that are first, then those that went silent."""
    order = list(Presence)
    told = [(worker, presence(worker)) for worker in found]
    return sorted(told, key=lambda one: (order.index(one[1]), one[0].name))


def deaf(worker: Worker) -> str:
    """Return why a worker takes no jobs from any queue; empty where it takes some, or all its queues are paused."""
    consumer = worker.connections.get("consumer", {})
    return str(consumer.get("reason", "")) if consumer.get("state") == DEAF else ""


def refused_queues(workers: Iterable[Worker]) -> dict[str, str]:
    """Return the queues that the broker refuses to any of these workers, each with its error."""
    found: dict[str, str] = {}
    for worker in workers:
        for connection in worker.connections.values():
            found |= connection.get("refused", {})
    return dict(sorted(found.items()))


def running_jobs(worker: Worker) -> QuerySet[Job]:
    """Return what runs under a worker's name, the longest running first."""
    return Job.objects.filter(state=State.RUNNING, worker=worker.name).order_by("started_at")


def _successors(name: Any, seen_at: Any) -> QuerySet[Worker]:
    """Return the workers that began under a name after another one of it was last heard of."""
    return Worker.objects.filter(name=name, started_at__gt=seen_at, seen_at__gt=seen_at)


def _silent_before() -> datetime:
    return timezone.now() - timedelta(seconds=GONE_AFTER)
