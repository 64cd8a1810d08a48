"""Every metric there is, by its name. docs/metrics.md says what to make of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db.models import Count, F, Min, Q
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from jobs.core.states import State
from jobs.metrics import flow
from jobs.metrics.flow import PREFIX
from jobs.models import DeadLetter, Job, Tally, Worker
from jobs.reports import breakers, workers
from jobs.reports.breakers import BreakerReport
from jobs.reports.lags import age, housekeeping_lag
from jobs.reports.queues import UNFINISHED, QueueReport, queues
from jobs.reports.tallies import BOUNDS, LAG, tallies
from jobs.reports.workers import Presence
from jobs.tasks.registry import present_name


def families() -> Iterator[Metric]:
    """Return every metric as it is now."""
    yield from _counted(tallies(LAG))
    yield _jobs()
    yield from _of_queues(queues())
    yield from _of_breakers(breakers.every())
    yield from flow.families()
    yield _dead_letters()
    yield from _lags()
    yield from _of_workers(list(workers.recent()))


# --- Counted since counting began -----------------------------------------------------------------


def _counted(rows: list[Tally]) -> Iterator[Metric]:
    yield _counter("jobs_finished", "Jobs that ended, by the state they ended in.", rows, "finished", "state")
    yield _counter(
        "attempts_failed",
        "Attempts that did not succeed, by what became of the job.",
        rows,
        "failed attempts",
        "outcome",
    )
    retried = [row for row in rows if row.outcome == State.RETRYING]
    yield _counter("retries", "Attempts that failed and are followed by another.", retried, "failed attempts")
    yield _counter("rescues", "Attempts whose worker or pool process died.", rows, "rescues")
    yield _counter("snoozes", "Times that jobs were put off without consuming an attempt.", rows, "snoozes")
    yield _counter("dead_letters", "Dead letters archived, by reason.", rows, "dead letters", "reason")
    yield _histogram(
        "job_duration_seconds", "How long attempts took, by what became of the job.", rows, "duration", "outcome"
    )
    yield _histogram("job_wait_seconds", "How long jobs that succeeded had been due when they began.", rows, "wait")


def _counter(name: str, help_text: str, rows: Iterable[Tally], metric: str, label: str = "") -> Metric:
    labels = ["task", "queue", *([label] if label else [])]
    family = CounterMetricFamily(PREFIX + name, help_text, labels=labels)
    for row in rows:
        if row.metric == metric:
            family.add_metric([row.task, row.queue, *([row.outcome] if label else [])], row.count)
    return family


def _histogram(name: str, help_text: str, rows: Iterable[Tally], metric: str, label: str = "") -> Metric:
    labels = ["task", "queue", *([label] if label else [])]
    family = HistogramMetricFamily(PREFIX + name, help_text, labels=labels)
    for row in rows:
        if row.metric == metric:
            buckets = [(str(bound), number) for bound, number in zip(BOUNDS, row.buckets or [], strict=False)]
            family.add_metric(
                [row.task, row.queue, *([row.outcome] if label else [])],
                buckets=[*buckets, ("+Inf", row.count)],
                sum_value=row.seconds,
            )
    return family


# --- As it is now ---------------------------------------------------------------------------------


def _jobs() -> Metric:
    family = GaugeMetricFamily(
        f"{PREFIX}jobs", "Jobs that have not ended, by state.", labels=["task", "queue", "state"]
    )
    # One state at a time: each has a partial index, and the many ended jobs are never looked at.
    for state in UNFINISHED:
        rows = Job.objects.filter(state=state).order_by().values_list("task", "queue").annotate(Count("pk"))
        found: Counter[tuple[str, str]] = Counter()
        for task, queue, number in rows:
            found[present_name(task), queue] += number
        for (task, queue), number in found.items():
            family.add_metric([task, queue, state.value], number)
    return family


def _of_queues(found: list[QueueReport]) -> Iterator[Metric]:
    facts: list[tuple[str, str, Callable[[QueueReport], float]]] = [
        ("queue_depth", "Jobs that are due and wait for a worker.", lambda queue: queue.depth[State.QUEUED]),
        ("queue_oldest_seconds", "How long the oldest of them has been due.", lambda queue: queue.waiting_seconds or 0),
        ("queue_workers", "Workers that listen.", lambda queue: queue.workers),
        ("queue_paused", "1 while an operator has paused it.", lambda queue: queue.paused_at is not None),
    ]
    for name, help_text, value in facts:
        family = GaugeMetricFamily(PREFIX + name, help_text, labels=["queue"])
        for queue in found:
            family.add_metric([queue.name], float(value(queue)))
        yield family
    targets = GaugeMetricFamily(f"{PREFIX}queue_target_seconds", "How long a due job may wait.", labels=["queue"])
    for queue in found:
        if queue.target_seconds is not None:
            targets.add_metric([queue.name], queue.target_seconds)
    yield targets


def _of_breakers(found: list[BreakerReport]) -> Iterator[Metric]:
    facts: list[tuple[type[GaugeMetricFamily | CounterMetricFamily], str, str, Callable[[BreakerReport], float]]] = [
        (GaugeMetricFamily, "breaker_open", "1 while a breaker is not closed.", lambda one: not one.is_closed),
        (GaugeMetricFamily, "breaker_waiting", "Jobs that a breaker holds back.", lambda one: one.waiting),
        (CounterMetricFamily, "breaker_openings", "Times that a breaker has opened.", lambda one: one.openings),
    ]
    for kind, name, help_text, value in facts:
        family = kind(PREFIX + name, help_text, labels=["breaker"])
        for one in found:
            family.add_metric([one.name], float(value(one)))
        yield family


def _dead_letters() -> Metric:
    family = GaugeMetricFamily(
        f"{PREFIX}dead_letters_open", "Dead letters that nobody has dealt with.", labels=["task", "queue", "reason"]
    )
    rows = DeadLetter.objects.filter(replayed_at=None, discarded_at=None).order_by()
    found: Counter[tuple[str, str, str]] = Counter()
    for task, queue, reason, number in rows.values_list("task", "queue", "reason").annotate(Count("pk")):
        found[present_name(task), queue, reason] += number
    for labels, number in found.items():
        family.add_metric(labels, number)
    return family


def _lags() -> Iterator[Metric]:
    now = timezone.now()
    undispatched = Job.objects.filter(state=State.QUEUED, dispatched_at=None, held_by=None, run_at__lte=now)
    yield _gauge(
        "outbox_lag_seconds",
        "How long the oldest due job has been without a message; with ledger:// how long without a taker.",
        age(undispatched.aggregate(Min("run_at"))["run_at__min"], now),
    )
    yield _gauge(
        "housekeeping_lag_seconds",
        "How long the oldest job has been due, or without a lease, that maintenance should have moved.",
        housekeeping_lag(now),
    )
    snoozed = Job.objects.filter(~Q(started_at=None), state=State.SCHEDULED, run_at__gt=F("started_at"))
    yield _gauge("jobs_snoozed", "Jobs put off by their task.", snoozed.count())


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, help_text, value=value)


# --- Workers --------------------------------------------------------------------------------------

_WHO = ["worker", "host", "pid"]


def _of_workers(found: list[Worker]) -> Iterator[Metric]:
    now = timezone.now()
    present = [worker for worker in found if workers.presence(worker) is not Presence.STOPPED]
    facts: list[tuple[str, str, Callable[[Worker], float]]] = [
        (
            "worker_up",
            "1 while a worker is there, 0 once it has gone silent.",
            lambda one: workers.presence(one) is Presence.ALIVE,
        ),
        ("worker_seen_seconds", "How long ago it was heard of.", lambda one: age(one.seen_at, now)),
        ("worker_uptime_seconds", "How long ago it started.", lambda one: age(one.started_at, now)),
        ("worker_running", "Jobs it runs.", lambda one: one.running),
        ("worker_concurrency", "Jobs it can run at once.", lambda one: one.concurrency),
        ("worker_memory_bytes", "Resident memory of all its processes.", lambda one: one.memory_bytes),
    ]
    for name, help_text, value in facts:
        family = GaugeMetricFamily(PREFIX + name, help_text, labels=[*_WHO, "pool"])
        for worker in present:
            family.add_metric([*_who(worker), worker.pool], float(value(worker)))
        yield family
    yield from _connections(present)
    yield from _worker_counters(present)


def _who(worker: Worker) -> list[str]:
    return [worker.name, worker.host, str(worker.pid)]


def _connections(present: list[Worker]) -> Iterator[Metric]:
    up = GaugeMetricFamily(f"{PREFIX}worker_connection_up", "1 while a connection is up.", labels=[*_WHO, "connection"])
    reconnects = CounterMetricFamily(
        f"{PREFIX}worker_reconnects", "Times a connection was made anew.", labels=[*_WHO, "connection"]
    )
    for worker in present:
        for name, one in worker.connections.items():
            up.add_metric([*_who(worker), name], one.get("state") == "connected")
            tried: Any = one.get("reconnects", one.get("attempts", 0))
            reconnects.add_metric([*_who(worker), name], tried)
    yield up
    yield reconnects


#: What workers count in memory, for want of a row that tells of it.
WORKER_COUNTERS = {
    "resent": "Jobs whose message was lost and sent again.",
}


def _worker_counters(present: list[Worker]) -> Iterator[Metric]:
    for name, help_text in WORKER_COUNTERS.items():
        family = CounterMetricFamily(f"{PREFIX}worker_{name}", help_text, labels=_WHO)
        for worker in present:
            family.add_metric(_who(worker), worker.counters.get(name, 0))
        yield family
