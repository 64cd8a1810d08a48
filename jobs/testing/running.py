"""`run_jobs()`: what waits runs now, in the test."""

import uuid
from collections.abc import Iterator, Sequence

from celery import current_app

from jobs.core.held_by import HeldBy
from jobs.core.states import State
from jobs.flow import breakers
from jobs.flow.declared import declare
from jobs.ledger import hold, maintain
from jobs.ledger.attempts import Failure
from jobs.ledger.sql import NOT_PAUSED
from jobs.models import Job
from jobs.tasks.registry import registered
from jobs.testing import faults
from jobs.testing.local_worker import LocalWorker
from jobs.worker.reserved import ReservedJob

#: Jobs looked for in one go.
BATCH = 100

#: More attempts than a test means to make.
MOST = 10_000


def run_jobs(*, queue: str | None = None, limit: int = MOST) -> list[Job]:
    """Run the jobs that are due, and those that they enqueue, until none is left: the most urgent first.

    They run in the calling thread, as in a worker: claimed, under a lease, recorded. One that fails waits for its next
    attempt; `travel()` brings that nearer. Jobs of paused queues wait on, and so do those that a limit keeps back.

    Args:
        queue: jobs of this one only.
        limit: of attempts.

    Returns:
        The jobs that ran, each once, in the order in which they first did.

    Raises:
        AssertionError: there were more attempts than `limit`: something enqueues itself for ever.
    """
    worker, ran = LocalWorker(), list[uuid.UUID]()
    declare(current_app._get_current_object())  # noqa: SLF001 (the proxy is thread-bound)
    for jobs in _claimed(worker, queue):
        if len(ran) == limit:
            raise AssertionError(f"More than {limit:,} attempts were made. The next one is of {jobs[0].name}.")
        ran += [job.job.id for job in jobs]
        faults.take(jobs[0].task.name)(worker, jobs)
    # What it has counted of successes, and kept for a moment.
    worker.recorder.write([])
    rows = Job.objects.in_bulk(set(ran))
    return [rows[job_id] for job_id in dict.fromkeys(ran) if job_id in rows]


def _claimed(worker: LocalWorker, queue: str | None) -> Iterator[Sequence[ReservedJob]]:
    """Yield what is claimed for one call after the other."""
    while True:
        maintain.take_due(BATCH)
        breakers.look_after()
        found = False
        for job_id in _waiting(queue):
            if jobs := worker.claim(job_id):
                found = True
                yield jobs
        if jobs := worker.claim_held(_queues(queue)):
            found = True
            yield jobs
        if not found:
            return


def _waiting(queue: str | None) -> list[uuid.UUID]:
    """Return jobs that are due, in their order; those of tasks that nobody knows are held back, as by a worker."""
    waiting = Job.objects.filter(state=State.QUEUED, held_by=None).extra(where=[NOT_PAUSED])  # noqa: S610 (a constant)
    if queue is not None:
        waiting = waiting.filter(queue=queue)
    known: list[uuid.UUID] = []
    for job_id, task in waiting.order_by("-priority", "run_at", "pk").values_list("pk", "task")[:BATCH]:
        if hasattr(registered().get(task), "check_arguments"):
            known.append(job_id)
        else:
            failure = Failure("UnknownTask", f"No task {task!r} is registered here.")
            hold.hold_queued(job_id, HeldBy.UNKNOWN_TASK, failure)
    return known


def _queues(queue: str | None) -> list[str]:
    if queue is not None:
        return [queue]
    return list(Job.objects.filter(state=State.QUEUED).order_by().values_list("queue", flat=True).distinct())
