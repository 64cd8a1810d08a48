"""Circuit breakers: how each stands, what waits for it, and when it opened and closed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count
from django.utils import timezone

from jobs.core.breaker import Breaker, BreakerState, Status
from jobs.core.held_by import HeldBy
from jobs.core.states import State
from jobs.ledger import breakers as ledger
from jobs.models import BreakerChange, CircuitBreaker, Job
from jobs.operations.wording import ago
from jobs.tasks.breakers import declared, names
from jobs.tasks.registry import registered

#: The latest changes of a breaker that are told.
LATEST = 20


@dataclass(frozen=True, slots=True)
class BreakerReport:
    """One breaker.

    Attributes:
        figures: when it opens, as declared.
        reason: why it is not closed; empty where nobody has said it.
        opened_by: the operator who opened it; empty where it did by itself.
        is_probing: whether a job probes just now; which is `probe_job_id`.
        openings: how often it has opened.
        waiting: how many jobs it holds back.
        tasks: those that name it.
    """

    name: str
    status: Status
    figures: Breaker
    reason: str = ""
    opened_by: str = ""
    is_probing: bool = False
    probe_job_id: str = ""
    openings: int = 0
    waiting: int = 0
    tasks: Sequence[str] = ()

    @property
    def is_closed(self) -> bool:
        """Whether its jobs run."""
        return self.status.state is BreakerState.CLOSED

    @property
    def is_probed(self) -> bool:
        """Whether it closes by itself, once a probe succeeds; else an operator has to close it."""
        return not self.is_closed and (
            self.status.state is BreakerState.HALF_OPEN or self.status.next_probe_at is not None
        )

    def sentence(self, now: datetime) -> str:
        """Return how it stands, in words: `smtp is open since 03:12: 421 busy; 212 jobs wait; next probe in 40 s`."""
        if self.is_closed:
            return f"{self.name} is closed{f'; {self._waiting()}' if self.waiting else ''}"
        return "; ".join([self._since(now), self._waiting(), self._next(now)])

    def _since(self, now: datetime) -> str:
        words = f"{self.name} is {self.status.state.words}"
        if (at := self.status.opened_at) is not None:
            local, today = timezone.localtime(at), timezone.localtime(now).date()
            words += f" since {local:%H:%M}" if local.date() == today else f" since {local:%Y-%m-%d %H:%M}"
        if self.opened_by:
            words += f", by {self.opened_by}"
        return f"{words}: {self.reason.rstrip('.;')}" if self.reason else words

    def _waiting(self) -> str:
        return f"{self.waiting:,} {'job waits' if self.waiting == 1 else 'jobs wait'}"

    def _next(self, now: datetime) -> str:
        if not self.is_probed:
            return "it stays open until somebody closes it"
        if self.is_probing:
            return "a job probes it now"
        at = self.status.next_probe_at
        return f"next probe {ago(at, now)}" if at is not None and at > now else "the next job probes it"


def every() -> list[BreakerReport]:
    """Return every breaker that a task names, that is not closed or that holds jobs back, by name."""
    tasks: dict[str, list[str]] = defaultdict(list)
    for name, task in sorted(registered().items()):
        if breaker := getattr(task, "breaker", None):
            tasks[breaker].append(name)
    rows = {row.name: row for row in CircuitBreaker.objects.all()}
    standing = {one.name: one for one in ledger.not_closed()}
    waiting = dict(
        Job.objects.filter(state=State.QUEUED, held_by=HeldBy.BREAKER)
        .order_by()
        .values_list("breaker")
        .annotate(Count("pk"))
    )
    return [
        _report(name, rows.get(name), standing.get(name), waiting.get(name, 0), tasks.get(name, ()))
        for name in sorted({*names(), *tasks, *standing, *waiting})
    ]


def _report(
    name: str, row: CircuitBreaker | None, standing: ledger.Standing | None, waiting: int, tasks: Sequence[str]
) -> BreakerReport:
    if row is None:
        return BreakerReport(name, Status(), declared(name), waiting=waiting, tasks=tasks)
    return BreakerReport(
        name,
        row.status if standing is None else standing.status,
        declared(name),
        reason=row.reason,
        opened_by=row.opened_by,
        is_probing=standing is not None and standing.is_probing,
        probe_job_id="" if row.probe_job_id is None else str(row.probe_job_id),
        openings=row.openings,
        waiting=waiting,
        tasks=tasks,
    )


def find(name: str) -> BreakerReport | None:
    """Return the breaker of this name; None where there is none."""
    return next((one for one in every() if one.name == name), None)


def history(name: str = "", limit: int = LATEST) -> list[BreakerChange]:
    """Return the latest changes, of one breaker or of all, the latest first."""
    found = BreakerChange.objects.filter(breaker=name) if name else BreakerChange.objects.all()
    return list(found[:limit])
