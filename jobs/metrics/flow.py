"""Metrics of what keeps jobs from beginning though they are due: limits, pauses, tenants.

Tasks and queues are named. Keys and tenants are as many as the site has customers: their jobs are counted together.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator

from django.db.models import Count
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from jobs.core.limits import Kind, Rate
from jobs.core.states import State
from jobs.models import Job
from jobs.reports.flow import RuleReport, rules
from jobs.reports.lags import age

PREFIX = "nightshift_"


def families() -> Iterator[Metric]:
    """Return these metrics as they are now."""
    found = rules()
    yield _held()
    yield from _of_limits(found)
    yield _pauses(found)
    yield from _tenants()


def _held() -> Metric:
    family = GaugeMetricFamily(
        f"{PREFIX}jobs_held", "Queued jobs that are held back, by what keeps them.", labels=["queue", "reason"]
    )
    rows = Job.objects.filter(state=State.QUEUED, held_by__isnull=False).order_by()
    for queue, reason, number in rows.values_list("queue", "held_by").annotate(Count("pk")):
        family.add_metric([queue, reason], number)
    return family


def _of_limits(found: list[RuleReport]) -> Iterator[Metric]:
    labels = ["kind", "name"]
    running = GaugeMetricFamily(f"{PREFIX}limit_running", "Jobs that run under a limit.", labels=labels)
    concurrency = GaugeMetricFamily(f"{PREFIX}limit_concurrency", "Jobs that may run at once.", labels=labels)
    rate = GaugeMetricFamily(f"{PREFIX}limit_rate", "Jobs that may begin in a second.", labels=labels)
    waiting = GaugeMetricFamily(f"{PREFIX}limit_waiting", "Jobs that stand in its line.", labels=labels)
    lines: Counter[tuple[str, str]] = Counter()
    for rule in found:
        lines[rule.kind, _public(rule)] += rule.waiting
        if rule.is_per_key or rule.kind not in {Kind.TASK, Kind.QUEUE}:
            continue
        name = [rule.kind.value, rule.name]
        if rule.concurrency is not None:
            running.add_metric(name, rule.running)
            concurrency.add_metric(name, rule.concurrency)
        if rule.rate is not None:
            rate.add_metric(name, 1 / Rate.read(rule.rate).interval)
    for (kind, name_of_line), number in lines.items():
        waiting.add_metric([kind, name_of_line], number)
    yield from (running, concurrency, rate, waiting)


def _pauses(found: list[RuleReport]) -> Metric:
    now = timezone.now()
    longest: defaultdict[tuple[str, str], float] = defaultdict(float)
    for rule in found:
        if rule.paused_at is not None:
            name = (rule.kind.value, _public(rule))
            longest[name] = max(longest[name], age(rule.paused_at, now))
    family = GaugeMetricFamily(
        f"{PREFIX}paused_seconds", "How long an operator has paused it.", labels=["kind", "name"]
    )
    for labels, seconds in longest.items():
        family.add_metric(labels, seconds)
    return family


def _public(rule: RuleReport) -> str:
    """Return the name under which a rule is counted: of a key its task's, of tenants none."""
    if rule.kind == Kind.TENANT:
        return ""
    return rule.name.partition(":")[0] if rule.kind == Kind.KEY else rule.name


def _tenants() -> Iterator[Metric]:
    by_queue: defaultdict[str, list[int]] = defaultdict(list)
    rows = Job.objects.filter(state=State.QUEUED, tenant__isnull=False).order_by()
    for queue, _, number in rows.values_list("queue", "tenant").annotate(Count("pk")):
        by_queue[queue].append(number)
    tenants = GaugeMetricFamily(f"{PREFIX}tenants_waiting", "Tenants whose jobs wait.", labels=["queue"])
    largest = GaugeMetricFamily(
        f"{PREFIX}tenant_largest_waiting", "Waiting jobs of the tenant that has the most.", labels=["queue"]
    )
    for queue, numbers in by_queue.items():
        tenants.add_metric([queue], len(numbers))
        largest.add_metric([queue], max(numbers))
    yield from (tenants, largest)
