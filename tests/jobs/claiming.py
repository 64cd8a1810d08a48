"""Claims of jobs that something may limit, and their ends, as a worker makes them."""

import uuid

from jobs.core.outcome import Succeeded
from jobs.flow import claim as flow
from jobs.ledger import attempts, claims, record
from jobs.ledger.claims import Claimed
from jobs.models import Job

WORKER = flow.Worker("worker@test", ["default"], 60.0)


def claim(*jobs: Job) -> list[Claimed]:
    """Claim as a worker does: what nothing limits, and then the others."""
    asked = {one.pk: uuid.uuid4().hex for one in jobs}
    found = claims.claim_many(asked, lease_seconds=60, worker="worker@test")
    decided = flow.claim({job_id: asked[job_id] for job_id in found.ruled}, WORKER)
    return [*found.claimed, *decided.claimed]


def from_lines(most: int = 100) -> list[Claimed]:
    """Claim what waits in line and may begin."""
    return flow.claim_from_lines([uuid.uuid4().hex for _ in range(most)], WORKER)


def end(*jobs: Claimed) -> None:
    """Record that these have succeeded, as a worker does."""
    record.record_many([attempts.Ended(one.id, one.lease_id, one.attempt, Succeeded()) for one in jobs])
