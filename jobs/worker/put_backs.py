"""Jobs that were claimed and do not run here: they go back to their queues, are held back, or cancelled."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.core import outcome as outcomes
from jobs.core.held_by import HeldBy
from jobs.ledger import put_back as ledger
from jobs.ledger.attempts import Failure
from jobs.ledger.sql import RowLocked
from jobs.worker.recorder import End
from jobs.worker.reserved import ReservedJob


def unknown_here(job: ReservedJob) -> End:
    """Return the end of a job whose task nobody has registered here: a worker with newer code may know it."""
    failure = Failure("UnknownTask", f"No task {job.job.task!r} is registered here.")
    return End(job, outcomes.HeldBack(HeldBy.UNKNOWN_TASK), failure)


def revoked(job: ReservedJob) -> End:
    """Return the end of a job that carries a stamp which somebody has revoked."""
    return End(job, outcomes.Cancelled(), Failure("Cancelled", "It carries a stamp that was revoked."))


@dataclass(frozen=True, slots=True)
class PutBack:
    """What came of putting jobs back.

    Attributes:
        back: those that are none of this worker's any more.
        unwanted: ends of those that an operator wants cancelled: they do not go back.
        locked: those whose rows somebody else's transaction holds.
    """

    back: Sequence[ReservedJob]
    unwanted: Sequence[End]
    locked: Sequence[ReservedJob]


def put_back(jobs: Sequence[ReservedJob]) -> PutBack:
    """Put jobs back into their queues. Raises the database's errors."""
    leases = [job.job.lease_id for job in jobs]
    locked: frozenset[uuid.UUID] = frozenset()
    try:
        are_back = ledger.put_back(leases) == len(leases)
    except RowLocked as exc:
        locked, are_back = exc.job_ids, False
    free = [job for job in jobs if job.job.id not in locked]
    held = set() if are_back else ledger.leases_of([job.job.id for job in free])
    failure = Failure("Cancelled", "An operator cancelled it before it began.")
    return PutBack(
        back=[job for job in free if job.job.lease_id not in held],
        unwanted=[End(job, outcomes.Cancelled(), failure) for job in free if job.job.lease_id in held],
        locked=[job for job in jobs if job.job.id in locked],
    )
