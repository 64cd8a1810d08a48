"""Queues: what waits in each, for how long, how quickly it moves, and who listens."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from jobs.core.states import FINAL, State
from jobs.enqueue.brokers import shown, url_of, urls
from jobs.models import DeadLetter, Job, Queue
from jobs.reports import workers
from jobs.tasks.registry import registered

#: The time over which rates are taken, in minutes.
RATE_MINUTES = 5

#: The states of what is still in a queue, in the order of a job's life.
UNFINISHED = tuple(state for state in State if state not in FINAL)


@dataclass(frozen=True, slots=True)
class QueueReport:
    """One queue.

    Attributes:
        depth: how many jobs are in each state that is not an end.
        oldest_due_at: since when the longest waiting of the queued jobs is due.
        rate_in, rate_out: jobs enqueued, and ended, in a minute, over the last minutes.
        dead_letters: dead letters that nobody has dealt with yet.
        workers: workers that listen.
        target_seconds: how long a due job may wait (`JOBS_LATENCY_TARGETS`); None where nobody has said.
        broker: the URL of what carries it, without a password.
    """

    name: str
    depth: Mapping[State, int]
    oldest_due_at: datetime | None
    rate_in: float
    rate_out: float
    dead_letters: int
    workers: int
    paused_at: datetime | None = None
    paused_by: str = ""
    paused_until: datetime | None = None
    pause_reason: str = ""
    broker: str = ""
    target_seconds: float | None = None

    @property
    def is_late(self) -> bool:
        """Whether its oldest job has waited longer than its target."""
        return self.target_seconds is not None and (self.waiting_seconds or 0.0) > self.target_seconds

    @property
    def waiting_seconds(self) -> float | None:
        """How long the oldest queued job has waited; None where none waits."""
        return None if self.oldest_due_at is None else max(0.0, (timezone.now() - self.oldest_due_at).total_seconds())

    @property
    def drain_seconds(self) -> float | None:
        """When the queue would be empty at the present rates; None where it would never be, or nobody can say."""
        waiting = self.depth[State.QUEUED]
        if not waiting:
            return 0.0
        net = self.rate_out - self.rate_in
        return waiting / net * 60 if net > 0 and self.paused_at is None else None


def queues() -> list[QueueReport]:
    """Return every queue that a task names, that has jobs, or that somebody has said something about."""
    since = timezone.now() - timedelta(minutes=RATE_MINUTES)
    depths, oldest = _depths()
    came = _by_queue(Job.objects.filter(created_at__gte=since))
    went = _by_queue(Job.objects.filter(changed_at__gte=since, state__in=sorted(FINAL)))
    letters = _by_queue(DeadLetter.objects.filter(replayed_at=None, discarded_at=None))
    said = {queue.name: queue for queue in Queue.objects.all()}
    listening = Counter(queue for worker in workers.alive() for queue in worker.queues)
    app = current_app._get_current_object()  # noqa: SLF001 (the proxy is thread-bound)
    carriers = {url: shown(url) for url in urls(app)}
    names = {*known(), *depths, *letters, *(name for name, queue in said.items() if queue.paused_at)}
    return [
        QueueReport(
            name=name,
            depth={state: depths.get(name, {}).get(state, 0) for state in UNFINISHED},
            oldest_due_at=oldest.get(name),
            rate_in=came.get(name, 0) / RATE_MINUTES,
            rate_out=went.get(name, 0) / RATE_MINUTES,
            dead_letters=letters.get(name, 0),
            workers=listening[name],
            broker=carriers[url_of(app, name)],
            paused_at=said[name].paused_at if name in said else None,
            paused_by=said[name].paused_by if name in said else "",
            target_seconds=settings.JOBS_LATENCY_TARGETS.get(name),
            paused_until=said[name].paused_until if name in said else None,
            pause_reason=said[name].pause_reason if name in said else "",
        )
        for name in sorted(names)
    ]


def exists(name: str) -> bool:
    """Return whether there is a queue of this name: a task names it, it has jobs, or somebody has spoken of it."""
    return name in known() or Queue.objects.filter(pk=name).exists() or Job.objects.filter(queue=name).exists()


def known() -> set[str]:
    """Return the queues that a task names."""
    registered()
    return set(current_app.amqp.queues)


def _depths() -> tuple[dict[str, dict[State, int]], dict[str, datetime]]:
    depths: dict[str, dict[State, int]] = {}
    oldest: dict[str, datetime] = {}
    # One state at a time: each has a partial index, and the many ended jobs are never looked at.
    for state in UNFINISHED:
        # What is held back waits for something else than a worker.
        longest = Min("run_at", filter=Q(held_by__isnull=True))
        rows = Job.objects.filter(state=state).order_by().values_list("queue").annotate(Count("pk"), longest=longest)
        for queue, number, due_at in rows:
            depths.setdefault(queue, {})[state] = number
            if state is State.QUEUED and due_at is not None:
                oldest[queue] = due_at
    return depths, oldest


def _by_queue(rows: QuerySet[Any]) -> dict[str, int]:
    return dict(rows.order_by().values_list("queue").annotate(Count("pk")))
