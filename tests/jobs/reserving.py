"""What of a worker's engine its maintenance uses: the jobs that it has reserved."""

import struct
import time
import uuid
from typing import Any

from celery import current_app

from jobs.ledger.claims import claim_many
from jobs.models import Job
from jobs.worker.deliveries import new_lease
from jobs.worker.reserved import Reserved, ReservedJob
from jobs.worker.started_flags import Began, started


class Reserving:
    """Reserves jobs as a worker does, and runs none."""

    def __init__(self) -> None:
        self.reserved = Reserved()
        #: What ends jobs: this, too.
        self.endings = self

    def reserve(self, row: Job, lease_seconds: float = 5) -> ReservedJob:
        """Claim a job."""
        (job,) = claim_many({row.pk: new_lease()}, lease_seconds=lease_seconds, worker="worker@test").claimed
        found = ReservedJob(job, current_app.tasks[job.task], "worker@test")
        self.reserved.answered([job.lease_id], [found])
        return found

    def end_lost(self, job: ReservedJob) -> None:
        """As the endings'."""
        job.kill()

    def recall(self, job_id: uuid.UUID) -> bool:
        """As the endings', where nothing is to be recalled."""
        return False


def begun_by(job: ReservedJob, pid: int) -> None:
    """Let a process of the pool have begun a job, as it writes that down itself."""
    at = job.slot * 16
    struct.pack_into("=Id", started._memory, at + 4, pid, time.monotonic())
    started._memory[at] = Began.YES


class Consuming:
    """Stands for Celery's consumer where only its events and its engine are asked for."""

    def __init__(self) -> None:
        self.event_dispatcher: Any = None
        self.engine = Reserving()
