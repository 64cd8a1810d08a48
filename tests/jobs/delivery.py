"""Deliver jobs to the worker's code in this process: its claims, executor and recorder; no pool, broker or threads."""

import json
from typing import Any

from celery import current_app
from django.utils import timezone

from jobs.core.delivery import read_body, read_headers
from jobs.core.outcome import Dead
from jobs.deadletters import codec, publisher
from jobs.enqueue.message import LEDGER_HEADER, Outgoing, outgoing
from jobs.ledger import leases
from jobs.ledger.enqueue import has_come
from jobs.ledger.maintain import Dispatchable
from jobs.models import Job
from jobs.testing.local_worker import LocalWorker
from jobs.worker.adopt import new_job
from jobs.worker.recorder import End
from jobs.worker.reports import Report


def message_of(job: Job) -> Outgoing:
    """Return the message that maintenance would send for a job."""
    return outgoing(
        Dispatchable(
            id=job.id,
            task=job.task,
            queue=job.queue,
            args=json.dumps(job.args),
            kwargs=json.dumps(job.kwargs),
            options=job.options,
            priority=job.priority,
            attempt=job.attempt,
            parent_id=job.parent_id,
            correlation_id=job.correlation_id,
        ),
        retries=job.attempt,
    )


class InThisProcess(LocalWorker):
    """The test kit's worker, which sends dead letters to the broker, as workers do."""

    def park(self, end: End) -> None:
        """Send the letter of a job that gives up. Raises BrokerGone."""
        job = end.job.job
        if isinstance(end.outcome, Dead) and end.failure and leases.held(job.id, job.lease_id):
            publisher.post(codec.from_job(job, job.attempt, end.outcome.reason, end.failure, timezone.now()))


def deliver(job: Job) -> list[Report]:
    """Deliver a job once, and return what the process that ran it reports."""
    taken = InThisProcess().deliver(job.id)
    job.refresh_from_db()
    return taken


def deliver_foreign(task: str, args: list[Any], kwargs: dict[str, Any], task_id: str, **headers: Any) -> list[Report]:
    """Deliver a message of a foreign producer."""
    embed = {name: headers.pop(name, None) for name in ("callbacks", "errbacks", "chain", "chord")}
    info = {"exchange": "", "routing_key": headers.pop("queue", "default")}
    read = read_headers({"lang": "py", "task": task, "id": task_id, **headers}, LEDGER_HEADER)
    row = new_job(current_app.tasks[task], read, read_body([args, kwargs, embed]), info)
    if row.run_at is not None and has_come(row.run_at):
        row = row._replace(run_at=None)
    worker = InThisProcess()
    jobs = worker.adopt(row)
    taken = worker.run(*jobs) if jobs else []
    worker.record(taken)
    return taken
