"""A worker's verbs for one job: what it asks of the ledger for many, asked for one."""

import uuid
from typing import Any

from jobs.core import outcome as outcomes
from jobs.core.held_by import HeldBy
from jobs.core.outcome import Outcome, Reason
from jobs.ledger import claims
from jobs.ledger.attempts import Ended, Failure
from jobs.ledger.claims import Claimed
from jobs.ledger.record import record_many
from jobs.ledger.sql import RowLocked


def claim(job_id: uuid.UUID, *, lease_id: str, lease_seconds: float, worker: str) -> Claimed | None:
    """Claim a job. Returns None where it is not there to be claimed. Raises RowLocked."""
    found = claims.claim_many({job_id: lease_id}, lease_seconds=lease_seconds, worker=worker)
    if found.locked:
        raise RowLocked(found.locked)
    return found.claimed[0] if found.claimed else None


def end(job_id: uuid.UUID, lease_id: str, outcome: Outcome, failure: Failure | None = None, **more: Any) -> bool:
    """Record the end of an attempt. Returns whether it had its lease. Raises RowLocked."""
    records = record_many([Ended(job_id, lease_id, 1, outcome, failure, **more)])
    if records.locked:
        raise RowLocked(records.locked)
    return job_id in records.became


def succeed(job_id: uuid.UUID, lease_id: str) -> bool:
    """Running → succeeded."""
    return end(job_id, lease_id, outcomes.Succeeded())


def retry(job_id: uuid.UUID, lease_id: str, delay: float, failure: Failure, *, lost_worker: bool = False) -> bool:
    """Running → retrying."""
    return end(job_id, lease_id, outcomes.RetryIn(delay), failure, lost_worker=lost_worker)


def die(job_id: uuid.UUID, lease_id: str, failure: Failure, *, lost_worker: bool = False) -> bool:
    """Running → dead."""
    return end(job_id, lease_id, outcomes.Dead(Reason.EXHAUSTED), failure, lost_worker=lost_worker)


def cancel(job_id: uuid.UUID, lease_id: str, failure: Failure) -> bool:
    """Running → cancelled."""
    return end(job_id, lease_id, outcomes.Cancelled(), failure)


def snooze(job_id: uuid.UUID, lease_id: str, delay: float, reason: str) -> bool:
    """Running → scheduled."""
    return end(job_id, lease_id, outcomes.Snoozed(delay), Failure(reason, ""))


def release(job_id: uuid.UUID, lease_id: str, failure: Failure) -> bool:
    """Running → queued."""
    return end(job_id, lease_id, outcomes.Released(), failure)


def hold(job_id: uuid.UUID, lease_id: str, by: HeldBy, failure: Failure) -> bool:
    """Running → queued and held back."""
    return end(job_id, lease_id, outcomes.HeldBack(by), failure)
