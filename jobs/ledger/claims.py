"""A worker takes jobs, one or a batch: each attempt is counted, and held under a lease."""

import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from math import inf
from typing import Any, NamedTuple

from jobs.core.states import State
from jobs.ledger.dialect import Dialect, dialect, pairs_of
from jobs.ledger.rules import NO_RULE
from jobs.ledger.sql import BREAKER_CLOSED, NOT_PAUSED, UNIQUE_KEY_BEGUN, change_named, in_state, read_json, rows


class Claimed(NamedTuple):
    """A job that runs now, with everything its executor must know. `args` and `kwargs` are JSON texts.

    Attributes:
        attempt: attempts begun, this one included.
        attempt_base: attempts that a replay has written off.
        ends_by: its deadline, by the monotonic clock of the machine that claimed it; None where it has none.
        expires_by: when its time passes, by the same clock: then it must not begin; None where it never does.
        clock: what the database's clock shows, in seconds since 1970, less what that machine's monotonic clock does.
        begins_in: seconds until it may begin, of a job that something in `jobs_flow_rule` concerns; None of any other.
    """

    id: uuid.UUID
    lease_id: str
    task: str
    queue: str
    priority: int
    args: str
    kwargs: str
    options: dict[str, Any] | None
    attempt: int
    attempt_base: int
    max_retries: int | None
    worker_losses: int
    correlation_id: str
    parent_id: uuid.UUID | None
    ends_by: float | None = None
    expires_at: datetime | None = None
    expires_by: float | None = None
    #: The dependency without which it is in vain.
    breaker: str | None = None
    clock: float = 0.0
    begins_in: float | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # It goes to a process of the pool as a pickle, in which a UUID takes more time than all the rest.
        values: list[Any] = list(self)
        values[0] = self.id.bytes
        if self.parent_id is not None:
            values[_PARENT] = self.parent_id.bytes
        return _unpickled, tuple(values)

    @property
    def seconds_left(self) -> float:
        """How many seconds are left until its deadline; infinitely many where it has none."""
        return inf if self.ends_by is None else self.ends_by - time.monotonic()

    @property
    def seconds_to_begin(self) -> float:
        """How many seconds are left to begin it in; infinitely many where its time never passes."""
        return inf if self.expires_by is None else self.expires_by - time.monotonic()

    @property
    def retries(self) -> int:
        """Celery's `request.retries`: the attempts before this one, since the job was enqueued or replayed."""
        return self.attempt - self.attempt_base - 1


#: Where `parent_id` stands.
_PARENT = Claimed._fields.index("parent_id")


def _unpickled(job_id: bytes, *others: Any) -> Claimed:
    values = [uuid.UUID(bytes=job_id), *others]
    if values[_PARENT] is not None:
        values[_PARENT] = uuid.UUID(bytes=values[_PARENT])
    return Claimed(*values)


@dataclass(frozen=True, slots=True)
class Claims:
    """What became of an attempt to claim some jobs.

    Attributes:
        claimed: those that were, in the order in which they were asked for.
        locked: those that could be claimed, but for somebody else's transaction, which holds their rows.
        ruled: those that could be, but for what limits them, or may, or for their breaker: `jobs.flow` decides.
    """

    claimed: list[Claimed]
    locked: set[uuid.UUID]
    ruled: set[uuid.UUID] = field(default_factory=set)


#: Holds for jobs that wait for nothing, named by their ids; for jobs in whose way nothing stands; and for both.
_DUE = f"{in_state(State.QUEUED)} AND held_by IS NULL AND {NOT_PAUSED}"
IS_FREE = f"{NO_RULE} AND {BREAKER_CLOSED}"
_CLAIMABLE = f"{_DUE} AND {IS_FREE}"


def claim_many(asked: Mapping[uuid.UUID, str], *, lease_seconds: float, worker: str, again: bool = False) -> Claims:
    """Queued → running for jobs, each under a lease of its own; the attempt is counted.

    A unique key is let go, unless it is to be held for longer. Left are jobs that somebody else has claimed, that have
    ended or wait for their time, that are held back, those of paused queues, and those whose breaker is not closed.

    Args:
        asked: the leases, by job.
        lease_seconds: how long they last.
        worker: who claims.
        again: whether the answer to the same question was lost, so that some may have been claimed. These are returned
            too. While a row is `locked` it may be the first try that holds it: ask again as `again`.
    """
    if not asked:
        return Claims([], set())
    sql = dialect()
    pairs = pairs_of(asked)
    taken = by_lease(rows(_claim(sql), (pairs, lease_seconds, worker)), sql)
    found = Claims([], set())
    if len(taken) < len(asked):
        if again:
            # A lease may have gone to another job than the one it was meant for, but to none that has its own.
            taken |= {
                job.lease_id: job for job in under(asked.values()) if asked.get(job.id, job.lease_id) == job.lease_id
            }
        for job_id, is_free in rows(_left(sql), [pairs]):
            (found.locked if is_free else found.ruled).add(sql.to_uuid(job_id))
    found.claimed.extend(taken[lease] for lease in asked.values() if lease in taken)
    return found


def under(leases: Collection[str]) -> list[Claimed]:
    """Return the jobs that run under these leases: what was claimed by a statement whose answer was lost."""
    sql = dialect()
    return list(by_lease(rows(_under(sql), [sql.array(leases)]), sql).values())


@cache
def _claim(sql: Dialect) -> str:
    return change_named(sql.leased_jobs, _CLAIMABLE, claim_update(sql), claimed_columns(sql), sql)


@cache
def _left(sql: Dialect) -> str:
    """Return the query for asked jobs that wait for nothing and were not claimed, and whether they are free."""
    return f"SELECT id, {IS_FREE} FROM ({sql.leased_jobs}) AS named JOIN jobs_job ON id = named.job WHERE {_DUE}"


@cache
def _under(sql: Dialect) -> str:
    begins_in = f"CASE WHEN started_at > {sql.now} THEN {sql.seconds_until('started_at')} END"
    held = f"state = '{State.RUNNING}' AND lease_id {sql.is_one_of}"
    return f"SELECT {claimed_columns(sql)}, {begins_in} FROM jobs_job WHERE {held}"


def claimed_columns(sql: Dialect) -> str:
    """Return the columns of a `Claimed`, but its `begins_in`, in order."""
    ahead = "id, lease_id, task, queue, priority, args, kwargs, options"
    return f"{ahead}, {', '.join(_counts(sql))}, correlation_id, parent_id, breaker, expires_at, {sql.epoch}"


def by_lease(found: Iterable[Sequence[Any]], sql: Dialect) -> dict[str, Claimed]:
    """Return rows of `claimed_columns`, with or without `begins_in` after them, by their leases."""
    return {row[1]: _claimed(row, sql) for row in found}


def _claimed(row: Sequence[Any], sql: Dialect) -> Claimed:
    job_id, lease_id, task, queue, priority, args, kwargs, options, attempt, base, max_retries, losses, *rest = row
    seconds_to_begin, seconds_left, correlation_id, parent_id, breaker, expires_at, epoch, *begins_in = rest
    now = time.monotonic()
    return Claimed(
        sql.to_uuid(job_id),
        lease_id,
        task,
        queue,
        priority,
        args,
        kwargs,
        read_json(options),
        attempt,
        base,
        max_retries,
        losses,
        correlation_id,
        None if parent_id is None else sql.to_uuid(parent_id),
        None if seconds_left is None else now + seconds_left,
        sql.to_time(expires_at),
        None if seconds_to_begin is None else now + seconds_to_begin,
        breaker,
        epoch - now,
        *begins_in,
    )


def claim_update(sql: Dialect, begins: str = "") -> str:
    """Return what every claim does to a job, under `named.lease`. Takes the lease's seconds, and the worker.

    `begins` is when the attempt begins; now, where it is not said.
    """
    key = UNIQUE_KEY_BEGUN.format(now=sql.now)
    return (
        f"UPDATE jobs_job SET state = '{State.RUNNING}', attempt = attempt + 1, lease_id = named.lease, {key},"
        f" lease_expires_at = {sql.after}, started_at = {begins or sql.now}, worker = %s,"
        f" dispatched_at = COALESCE(dispatched_at, {sql.now}), changed_at = {sql.now}"
    )


def _counts(sql: Dialect) -> list[str]:
    """Return the columns that say how often it was tried, and how long it may last."""
    left = [sql.seconds_until("expires_at"), sql.seconds_until("deadline_at")]
    return ["attempt", "attempt_base", "max_retries", "worker_losses", *left]
