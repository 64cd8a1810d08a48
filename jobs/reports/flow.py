"""Limits, pauses and weights: what there is, how much is used, who waits for it, where in line and about how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Q
from django.utils import timezone

from jobs.core.held_by import HeldBy
from jobs.core.limits import Kind, Rate
from jobs.core.states import State
from jobs.core.turns import WEIGHT
from jobs.ledger import lines, renames, rules as ledger_rules, turns
from jobs.models import FlowRule, Job, Queue
from jobs.operations.wording import duration
from jobs.tasks.registry import names_of

#: The most keys and tenants that are listed; those with the longest lines.
MOST = 200

#: How long a job takes is the mean of the latest so many.
LATEST = 100


@dataclass(frozen=True, slots=True)
class RuleReport:
    """What concerns the jobs of one task, queue, key or tenant.

    Attributes:
        rate, burst, concurrency: its figures; of a key without any of its own, those of its task.
        is_per_key: whether a task's figures hold for each of its keys.
        source: who said the figures: `code`, `setting`, `operator`; a key's task's where they are that's.
        running: how many of its jobs run.
        waiting: how many stand in its line.
        weight: a tenant's share of each queue beside others, which weigh 1; None of anything else.
    """

    kind: Kind
    name: str
    rate: str | None
    burst: int
    concurrency: int | None
    is_per_key: bool
    source: str
    changed_by: str
    running: int
    waiting: int
    paused_at: datetime | None = None
    paused_until: datetime | None = None
    paused_by: str = ""
    pause_reason: str = ""
    weight: float | None = None

    @property
    def figures(self) -> str:
        """Return its figures in words."""
        said = []
        if self.rate is not None:
            said.append(self.rate + (f", {self.burst} at one moment" if self.burst > 1 else ""))
        if self.concurrency is not None:
            said.append(f"{self.concurrency:,} at once")
        return ", ".join(said) + (" for each key" if said and self.is_per_key else "")

    @property
    def weight_words(self) -> str:
        """Return what a tenant weighs, where that is not what others do."""
        return "" if self.weight in {None, WEIGHT} else f"weight {self.weight:g}"

    @property
    def source_words(self) -> str:
        """Return who said the figures; nothing where there are none."""
        return (self.changed_by or self.source) if self.figures else ""

    @property
    def paused_words(self) -> str:
        """Return by whom it is paused, until when and why; nothing where it is not."""
        if self.paused_at is None:
            return ""
        until = f" until {self.paused_until:%Y-%m-%d %H:%M} UTC" if self.paused_until else ""
        reason = f": {self.pause_reason}" if self.pause_reason else ""
        return f"by {self.paused_by}{until}{reason}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job stands in line.

    Attributes:
        rule: what it waits for, as `limit mail.send`.
        number: its place, from 1.
        seconds: about how long it waits; None where nobody can say.
        why: by whom that is paused, until when and why; empty where it is not.
    """

    rule: str
    number: int
    seconds: float | None
    why: str = ""

    @property
    def words(self) -> str:
        """Return it as people read it."""
        if self.why:
            return f"waits since {self.rule} is paused {self.why}"
        about = "" if self.seconds is None else f", about {duration(self.seconds)}"
        return f"waits for {self.rule}, {_ordinal(self.number)} in line{about}"


def rules() -> list[RuleReport]:
    """Return all limits, pauses and weights: those of tasks and queues, then keys and tenants for whom most wait."""
    waiting = dict(
        Job.objects.filter(state=State.QUEUED, held_rule__isnull=False)
        .order_by()
        .values_list("held_rule")
        .annotate(Count("pk"))
    )
    concerned = Q(pk__in=waiting)
    for said in ("rate", "concurrency", "paused_at", "weight"):
        concerned |= Q(**{f"{said}__isnull": False})
    # An old name says nothing of itself. Jobs stand in its line until the present one's has them.
    rows = list(FlowRule.objects.filter(concerned).filter(Q(renamed_to__isnull=True) | Q(pk__in=waiting)))
    of_tasks = {row.name: row for row in FlowRule.objects.filter(kind=Kind.TASK)}
    found = _with_queues(rows)
    running = ledger_rules.running([(Kind(row.kind), row.name) for row in found], renames.known())
    reports = [_report(row, of_tasks, running, waiting) for row in found]
    order = list(Kind)
    reports.sort(key=lambda one: (order.index(one.kind) >= 2, -one.waiting, order.index(one.kind), one.name))
    return reports[:MOST]


def place_of(job: Job) -> Place | None:
    """Return where a job stands in line; None where it stands in none."""
    if job.state != State.QUEUED or job.held_rule is None or job.held_by not in {HeldBy.LIMIT, HeldBy.PAUSED}:
        return None
    rule = FlowRule.objects.filter(pk=job.held_rule).first()
    if rule is not None and rule.renamed_to is not None:
        rule = FlowRule.objects.filter(kind=Kind.TASK, name=rule.renamed_to).first()
    if rule is None:
        return None
    number = 1 + (
        lines.ahead_of(job.pk)
        if job.tenant is None
        else turns.ahead_in_line(job.pk, job.held_rule, job.priority, job.tenant)
    )
    of_task = FlowRule.objects.filter(kind=Kind.TASK, name=renames.present(job.task))
    report = _report(rule, {row.name: row for row in of_task}, {}, {})
    name = f"limit {rule.name}" if not report.paused_at else f"{rule.kind} {rule.name}"
    return Place(name, number, _seconds(report, rule.tat, number, job.task), report.paused_words)


def _seconds(rule: RuleReport, tat: float, number: int, task: str) -> float | None:
    """Return about how long the job of this number in line waits: the longest that one of the figures has it wait."""
    if rule.paused_at is not None:
        return None
    waits = []
    if rule.rate is not None:
        waits.append(max(0.0, tat - timezone.now().timestamp()) + (number - 1) * Rate.read(rule.rate).interval)
    if rule.concurrency is not None and (took := _mean_seconds(task)) is not None:
        waits.append(number * took / rule.concurrency)
    return max(waits, default=None)


def _mean_seconds(task: str) -> float | None:
    """Return how long the latest jobs of a task ran that succeeded."""
    latest = Job.objects.filter(task__in=names_of(task), state=State.SUCCEEDED, started_at__isnull=False).order_by(
        "-created_at", "-pk"
    )
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    mean = Job.objects.filter(pk__in=latest.values("pk")[:LATEST]).aggregate(mean=Avg(took))["mean"]
    return None if mean is None else float(mean.total_seconds())


def _with_queues(rows: list[FlowRule]) -> list[FlowRule]:
    """Return the rows with the pauses of queues, which have a table of their own."""
    by_name = {row.name: row for row in rows if row.kind == Kind.QUEUE}
    for queue in Queue.objects.filter(paused_at__isnull=False):
        row = by_name.get(queue.name)
        if row is None:
            row = FlowRule(kind=Kind.QUEUE, name=queue.name, burst=1, is_per_key=False, source="", changed_by="")
            rows.append(row)
        for name in ("paused_at", "paused_until", "paused_by", "pause_reason"):
            setattr(row, name, getattr(queue, name))
    return rows


def _report(
    row: FlowRule,
    of_tasks: Mapping[str, FlowRule],
    running: Mapping[tuple[Kind, str], int],
    waiting: Mapping[Any, int],
) -> RuleReport:
    kind = Kind(row.kind)
    figures = row
    if kind == Kind.KEY and row.rate is None and row.concurrency is None:
        figures = of_tasks.get(row.name.partition(":")[0], row)
    return RuleReport(
        kind=kind,
        name=row.name,
        rate=figures.rate,
        burst=figures.burst,
        concurrency=figures.concurrency,
        is_per_key=row.is_per_key,
        source=figures.source,
        changed_by=figures.changed_by,
        running=running.get((kind, row.name), 0),
        waiting=waiting.get(row.pk, 0),
        paused_at=row.paused_at,
        paused_until=row.paused_until,
        paused_by=row.paused_by or "",
        pause_reason=row.pause_reason or "",
        weight=(row.weight or WEIGHT) if kind == Kind.TENANT else None,
    )


def _ordinal(number: int) -> str:
    last = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{last}"
