"""A worker in the calling thread: its claims, executor and recorder are the engine's; it has no pool and no broker."""

import os
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from celery import current_app
from django.utils import timezone

from jobs.conf import conf
from jobs.core.outcome import Dead, Outcome
from jobs.deadletters import codec
from jobs.deadletters.archiver import store
from jobs.flow import claim as flow
from jobs.ledger import leases
from jobs.ledger.adopt import adopt
from jobs.ledger.batches import claim_waiting
from jobs.ledger.claims import Claimed, claim_many
from jobs.ledger.enqueue import NewJob
from jobs.models import Job
from jobs.worker.deliveries import new_lease
from jobs.worker.endings import tell_of_lost
from jobs.worker.executor import Call, Work, execute
from jobs.worker.recorder import End, Recorder
from jobs.worker.reports import Report, reports
from jobs.worker.reserved import ReservedJob


class LocalWorker:
    """What it is given it claims, runs and records at once."""

    def __init__(self, hostname: str = "worker@test") -> None:
        self.hostname = hostname
        self.reports: list[Report] = []
        self.became: dict[uuid.UUID, Outcome] = {}
        self.reserved: dict[str, ReservedJob] = {}
        self.recorder = Recorder(current_app._get_current_object(), self._recorded)  # noqa: SLF001 (the proxy is thread-bound)

    def _recorded(self, end: End, became: Outcome) -> None:
        self.became[end.job.job.id] = became
        tell_of_lost(current_app, end, became)

    def claim(self, *job_ids: uuid.UUID) -> list[ReservedJob]:
        """Claim jobs, and those that wait beside them where their task takes batches."""
        asked = {job_id: new_lease() for job_id in job_ids}
        answer = claim_many(asked, **self._claims())
        queues = set(Job.objects.filter(pk__in=job_ids).values_list("queue", flat=True))
        ruled = {job_id: asked[job_id] for job_id in answer.ruled}
        found = [*answer.claimed, *self.recorder.breakers.claim(ruled, self._claimant(queues)).claimed]
        for task, queue in Job.objects.filter(pk__in=job_ids).values_list("task", "queue").distinct():
            size, have = current_app.tasks[task].batch, sum(job.task == task for job in found)
            # A job that is taken still says that there is work.
            missing = (-have % size or (0 if have else size)) if size else 0
            found += claim_waiting(task, queue, [new_lease() for _ in range(missing)], **self._claims())
        return self._reserve(found)

    def claim_held(self, queues: Sequence[str]) -> list[ReservedJob]:
        """Claim a job that waits in the line of a limit, or to probe, where one may begin."""
        return self._reserve(self.recorder.breakers.claim_held([new_lease()], self._claimant(queues)))

    def adopt(self, row: NewJob) -> list[ReservedJob]:
        """Write the row of a foreign message, and claim it where it is due."""
        lease = new_lease()
        adopt(row)
        return self._reserve(claim_many({row.id: lease}, **self._claims()).claimed, is_foreign=True)

    def _claims(self) -> dict[str, Any]:
        return {"lease_seconds": conf().lease_seconds, "worker": self.hostname}

    def _claimant(self, queues: Any) -> flow.Worker:
        return flow.Worker(self.hostname, queues, conf().lease_seconds)

    def _reserve(self, found: Sequence[Claimed], *, is_foreign: bool = False) -> list[ReservedJob]:
        tasks = current_app.tasks
        jobs = [ReservedJob(job, tasks[job.task], self.hostname, is_foreign=is_foreign) for job in found]
        self.reserved |= {job.job.lease_id: job for job in jobs}
        return jobs

    def run(self, *jobs: ReservedJob, begins_in: float = 5.0) -> list[Report]:
        """Run claimed jobs in one call. Returns what was reported of each."""
        return self.run_calls([jobs], begins_in=begins_in)

    def run_calls(
        self,
        calls: Sequence[Sequence[ReservedJob]],
        *,
        begins_in: float = 5.0,
        take: Callable[[Sequence[Report]], None] | None = None,
    ) -> list[Report]:
        """Run claimed jobs in these calls, as one process would.

        Args:
            calls: for each the jobs: several for a batch task.
            begins_in: what has not begun after so many seconds does not begin.
            take: gets the reports instead of this worker.

        Returns:
            What was reported of each.
        """
        before = len(self.reports)
        reports.serve(take or self.reports.extend)
        made = [Call([job.job for job in call], [job.slot for job in call], call[0].is_foreign) for call in calls]
        begins_by = time.monotonic() + begins_in
        execute(Work(made, begins_by, self.hostname, os.getpid(), shows_results=True))
        return self.reports[before:]

    def ends(self, taken: Sequence[Report]) -> list[End]:
        """Return the ends that are reported; of each attempt the first."""
        ends = []
        for one in taken:
            job = self.reserved[one.lease_id]
            if not job.is_ended:
                job.is_ended = True
                ends.append(End(job, one.outcome, one.failure, one))
        return ends

    def park(self, end: End) -> None:
        """Keep the dead letter of a job that gives up: where workers send it to the broker, it goes into the table."""
        job = end.job.job
        if isinstance(end.outcome, Dead) and end.failure and leases.held(job.id, job.lease_id):
            letter = codec.from_job(job, job.attempt, end.outcome.reason, end.failure, timezone.now())
            store([letter.message], job.queue)

    def write(self, ends: Sequence[End]) -> None:
        """Record ends; those that give up after their dead letters."""
        left = list(ends)
        while left:
            for end in left:
                self.park(end)
            left = self.recorder.write(left)

    def record(self, taken: Sequence[Report]) -> None:
        """Record what was reported."""
        self.write(self.ends(taken))

    def deliver(self, *job_ids: uuid.UUID) -> list[Report]:
        """Deliver jobs once. Returns what was reported of each."""
        jobs = self.claim(*job_ids)
        taken = self.run(*jobs) if jobs else []
        self.record(taken)
        return taken

    def deliver_chunk(self, *job_ids: uuid.UUID) -> list[Report]:
        """Deliver jobs that one process runs one after the other. Returns what was reported of each."""
        taken = self.run_calls([[job] for job in self.claim(*job_ids)])
        self.record(taken)
        return taken
