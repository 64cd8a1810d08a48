"""The leases of running jobs: who holds them, how long they last, and whose ran out."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from jobs.core.states import State
from jobs.ledger.claims import Claimed, by_lease, claimed_columns
from jobs.ledger.dialect import dialect
from jobs.ledger.sql import changed, free, in_state, rows


def held(job_id: uuid.UUID, lease_id: str) -> Claimed | None:
    """Return the job if it runs under this lease. Tells a claim whose answer was lost from one that failed."""
    sql = dialect()
    found = rows(
        f"SELECT {claimed_columns(sql)} FROM jobs_job WHERE id = %s AND {in_state(State.RUNNING)} AND lease_id = %s",
        (sql.key(job_id), lease_id),
    )
    return by_lease(found, sql).get(lease_id)


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a renewal did not renew, by lease.

    Attributes:
        locked: jobs whose rows somebody else's transaction holds: they are to be renewed when that has ended.
        lost: leases under which nothing runs any more.
    """

    locked: Mapping[str, uuid.UUID]
    lost: Collection[str]


def renew(lease_ids: Collection[str], seconds: float) -> Renewal:
    """Renew all leases of a worker in one statement, which no locked row holds up. A lease that was lost stays lost."""
    if not lease_ids:
        return Renewal({}, ())
    sql = dialect()
    mine = f"state = '{State.RUNNING}' AND lease_id {sql.is_one_of}"
    renewed = rows(
        f"UPDATE jobs_job SET lease_expires_at = {sql.after} WHERE {free(mine)} RETURNING id",
        [seconds, sql.array(lease_ids)],
    )
    running = rows(f"SELECT id, lease_id FROM jobs_job WHERE {mine}", [sql.array(lease_ids)])
    passed_by = {job_id for job_id, _ in running} - {job_id for (job_id,) in renewed}
    locked = {lease_id: sql.to_uuid(job_id) for job_id, lease_id in running if job_id in passed_by}
    return Renewal(locked, set(lease_ids) - {lease_id for _, lease_id in running})


@dataclass(frozen=True, slots=True)
class Overdue:
    """A running job whose lease ran out: its worker is gone.

    Attributes:
        is_late: whether that was so long ago that it should have been found before.
    """

    id: uuid.UUID
    lease_id: str
    task: str
    worker: str
    is_late: bool = False


def overdue(limit: int, late_seconds: float = 3600) -> list[Overdue]:
    """Return running jobs whose lease ran out. Who wants to end one takes over its lease first.

    Left out are those whose rows somebody's transaction holds: their workers could not renew them. Late is what ran
    out more than `late_seconds` ago.
    """
    sql = dialect()
    found = rows(
        f"SELECT id, lease_id, task, worker, lease_expires_at <= {sql.after} FROM jobs_job"
        f" WHERE state = '{State.RUNNING}' AND lease_expires_at <= {sql.now}"
        f" ORDER BY lease_expires_at LIMIT %s {sql.skip_locked}",
        (-late_seconds, limit),
    )
    return [
        Overdue(sql.to_uuid(job_id), lease_id, task, worker, bool(is_late))
        for job_id, lease_id, task, worker, is_late in found
    ]


def take_over(job: Overdue, lease_id: str, seconds: float) -> bool:
    """Make an overdue job's lease one's own, to end it. Returns false where it was renewed, taken or locked."""
    sql = dialect()
    late = f"id = %s AND {in_state(State.RUNNING)} AND lease_id = %s AND lease_expires_at <= {sql.now}"
    return (
        changed(
            f"UPDATE jobs_job SET lease_id = %s, lease_expires_at = {sql.after} WHERE {free(late)}",
            (lease_id, seconds, sql.key(job.id), job.lease_id),
        )
        == 1
    )
