"""Circuit breakers in the ledger: how each stands, and the jobs that it holds back.

Nobody waits for the row of a breaker: who cannot lock it now goes on without, and comes back.
"""

import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Now

from jobs.core.breaker import BreakerState, Status
from jobs.core.held_by import HeldBy
from jobs.core.states import State
from jobs.ledger.dialect import Dialect, dialect
from jobs.ledger.sql import BREAKER_CLOSED, NOT_PAUSED, changed, free, in_state, rows
from jobs.models import BreakerChange, CircuitBreaker, Job


@dataclass(frozen=True, slots=True)
class Standing:
    """How a breaker stands.

    Attributes:
        now: the database's clock when it was read.
        probe_lease: of the job that probes, or last did.
        is_probing: whether that job runs under that lease. If it does not, nobody probes, whatever became of it.
    """

    name: str
    status: Status
    now: datetime
    probe_lease: str | None = None
    is_probing: bool = False

    @property
    def may_be_probed(self) -> bool:
        """Whether a probe may begin: its time has come, or the one that began is gone."""
        is_lost = self.status.state is BreakerState.HALF_OPEN and not self.is_probing
        return is_lost or self.status.is_due(self.now)


def add(names: Collection[str]) -> None:
    """Write the rows of breakers that have none yet."""
    CircuitBreaker.objects.bulk_create([CircuitBreaker(name=name) for name in sorted(names)], ignore_conflicts=True)


def standing(names: Collection[str]) -> list[Standing]:
    """Return how breakers stand, in order; those without a row are left out."""
    return _standing(CircuitBreaker.objects.filter(name__in=names))


def locked(names: Collection[str]) -> list[Standing]:
    """As `standing`, to change them in this transaction; those that another one has locked are left out too."""
    found = CircuitBreaker.objects.filter(name__in=names).order_by("name")
    free = list(found.select_for_update(skip_locked=True, no_key=True).values_list("name", flat=True))
    # Read anew: the statement that locks a row which has just changed still sees the jobs as they were before.
    return standing(free) if free else []


def not_closed() -> list[Standing]:
    """Return how those breakers stand that are not closed, in order."""
    return _standing(CircuitBreaker.objects.exclude(state=BreakerState.CLOSED))


def _standing(found: QuerySet[CircuitBreaker]) -> list[Standing]:
    probe = Job.objects.filter(pk=OuterRef("probe_job_id"), state=State.RUNNING, lease_id=OuterRef("probe_lease"))
    return [
        Standing(row.name, row.status, row.now, row.probe_lease, row.is_probing)
        for row in found.order_by("name").annotate(is_probing=Exists(probe), now=Now())
    ]


def begin_probe(name: str, status: Status, job_id: uuid.UUID, lease_id: str) -> None:
    """Write how a breaker stands that this job probes, under this lease. The row is locked by the caller."""
    _write(name, status, probe_job_id=job_id, probe_lease=lease_id, probe_sent_at=None)


def change(before: Standing, status: Status, *, reason: str = "", actor: str = "") -> None:
    """Write how a breaker stands now, and keep note where it has opened or closed. The row is locked by the caller.

    Args:
        before: how it stood.
        status: how it stands.
        reason: why, where it is another state: an error, or what the operator said.
        actor: the operator, if it was one.
    """
    was_closed, is_closed = (one.state is BreakerState.CLOSED for one in (before.status, status))
    if is_closed and not was_closed:
        _write(before.name, status, reason="", opened_by="", **_NO_PROBE)
    elif was_closed and not is_closed:
        _write(before.name, status, reason=reason, opened_by=actor, openings=F("openings") + 1)
    else:
        _write(before.name, status, **({"reason": reason} if reason else {}))
        return
    BreakerChange.objects.create(breaker=before.name, state=status.state, reason=reason, actor=actor)


def take_by_hand(before: Standing, status: Status, *, reason: str, actor: str) -> None:
    """Write how a breaker stands now that an operator opens it, though it may be open. The row is locked."""
    openings = F("openings") + int(before.status.state is BreakerState.CLOSED)
    _write(before.name, status, reason=reason, opened_by=actor, openings=openings, **_NO_PROBE)
    BreakerChange.objects.create(breaker=before.name, state=status.state, reason=reason, actor=actor)


_NO_PROBE = {"probe_job_id": None, "probe_lease": None, "probe_sent_at": None}


def _write(name: str, status: Status, **more: object) -> None:
    CircuitBreaker.objects.filter(name=name).update(**asdict(status), **more)


# --- Jobs -----------------------------------------------------------------------------------------


def left(job_ids: Collection[uuid.UUID]) -> list[tuple[uuid.UUID, str]]:
    """Return those of these jobs that nothing but a breaker keeps from being claimed, the most urgent first.

    Returns:
        Their ids and their breakers'.
    """
    sql = dialect()
    found = rows(
        f"SELECT id, breaker FROM jobs_job WHERE id {sql.is_one_of_ids} AND {_WAITS} AND NOT {BREAKER_CLOSED}"
        " ORDER BY priority DESC, run_at, id",
        [sql.ids(job_ids)],
    )
    return [(sql.to_uuid(job_id), breaker) for job_id, breaker in found]


_WAITS = f"{in_state(State.QUEUED)} AND held_by IS NULL"

#: Holds for breakers that hold jobs back. No EXISTS, for which PostgreSQL may read all jobs that are held back.
_HOLDS = (
    f"(SELECT 1 FROM jobs_job WHERE jobs_job.state = '{State.QUEUED}' AND held_by = '{HeldBy.BREAKER}'"
    " AND breaker = name LIMIT 1) IS NOT NULL"
)

#: Holds where there is something for maintenance to do: a breaker that is not closed, or that still holds jobs back.
ARE_BREAKERS_WANTED = f"EXISTS (SELECT 1 FROM jobs_breaker WHERE state <> '{BreakerState.CLOSED}' OR {_HOLDS})"


def is_probe_wanted(sql: Dialect) -> str:
    """Return what holds where a breaker may be probed, and holds back jobs that could."""
    is_due = f"state = '{BreakerState.HALF_OPEN}' OR state = '{BreakerState.OPEN}' AND next_probe_at <= {sql.now}"
    return f"EXISTS (SELECT 1 FROM jobs_breaker WHERE ({is_due}) AND {_HOLDS})"


def hold(job_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Hold back queued jobs whose breakers are not closed, without an attempt. Returns those that are.

    The others' breakers have closed, or their rows are somebody else's just now.
    """
    sql = dialect()
    where = f"id {sql.is_one_of_ids} AND {_WAITS} AND NOT {BREAKER_CLOSED}"
    found = rows(
        f"UPDATE jobs_job SET held_by = '{HeldBy.BREAKER}', held_since = {sql.now}, dispatched_at = NULL,"
        f" changed_at = {sql.now} WHERE {free(where)} RETURNING id",
        [sql.ids(job_ids)],
    )
    return {sql.to_uuid(job_id) for (job_id,) in found}


def hold_in_line(name: str, limit: int) -> int:
    """Hold back jobs that stand in line for a limit, and whose breaker is not closed: one of them may have to probe.

    They come back into their place in the line when the breaker has closed. Returns how many.
    """
    sql = dialect()
    where = f"state = '{State.QUEUED}' AND held_by = '{HeldBy.LIMIT}' AND breaker = %s LIMIT %s"
    return changed(
        f"UPDATE jobs_job SET held_by = '{HeldBy.BREAKER}', held_since = {sql.now}, held_rule = NULL,"
        f" changed_at = {sql.now} WHERE {free(where)}",
        [name, limit],
    )


def release(name: str, limit: int) -> list[str]:
    """Let go on jobs that a breaker has held back, the most urgent first. Returns the queue of each."""
    return [queue for (queue,) in rows(_release(dialect(), "TRUE", "queue"), [name, limit])]


def _release(sql: Dialect, besides: str, returning: str) -> str:
    where = f"state = '{State.QUEUED}' AND held_by = '{HeldBy.BREAKER}' AND breaker = %s AND {besides}"
    where += " ORDER BY priority DESC, run_at, id LIMIT %s"
    return (
        f"UPDATE jobs_job SET held_by = NULL, held_since = NULL, dispatched_at = NULL, changed_at = {sql.now}"
        f" WHERE {free(where)} RETURNING {returning}"
    )


def may_try_probe(name: str, patience_seconds: float) -> bool:
    """Return whether a job may be tried as a breaker's probe, and note that one is: nobody else tries for a while.

    Args:
        name: of the breaker, which is due.
        patience_seconds: how long nobody else does.
    """
    sql = dialect()
    none_is = f"name = %s AND (probe_sent_at IS NULL OR probe_sent_at <= {sql.after})"
    where = f"name IN (SELECT name FROM jobs_breaker WHERE {none_is} {sql.skip_locked})" if sql.skip_locked else none_is
    return changed(f"UPDATE jobs_breaker SET probe_sent_at = {sql.now} WHERE {where}", [name, -patience_seconds]) > 0


def release_probe(name: str, queues: Collection[str]) -> uuid.UUID | None:
    """Let go on the most urgent of the jobs of these queues that a breaker holds back. Returns it, if there is one."""
    sql = dialect()
    where = f"queue {sql.is_one_of} AND {NOT_PAUSED}"
    found = rows(_release(sql, where, "id"), [name, sql.array(sorted(queues)), 1])
    return sql.to_uuid(found[0][0]) if found else None


def with_held_jobs() -> list[str]:
    """Return the names of breakers that are closed and still hold back jobs."""
    found = rows(f"SELECT name FROM jobs_breaker WHERE state = '{BreakerState.CLOSED}' AND {_HOLDS}")
    return [name for (name,) in found]
