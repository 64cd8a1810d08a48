"""Rows of the ledger for tests: written and taken through its own verbs."""

import uuid
from datetime import timedelta
from typing import Any

from django.db.models import F

from jobs.core.states import State
from jobs.ledger import enqueue_once, maintain
from jobs.ledger.attempts import Failure
from jobs.ledger.dialect import dialect
from jobs.ledger.enqueue import NewJob
from jobs.ledger.sql import one
from jobs.models import Job
from tests.jobs import verbs
from tests.waiting import wait_for

LEASE = "a" * 32
OTHER_LEASE = "b" * 32
ERROR = Failure("ValueError", "it failed", "Traceback …")


def new_job(**changes: Any) -> NewJob:
    """Return a job to be written."""
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "task": "tests.tasks_app.tasks.noop",
        "queue": "default",
        "args": "[]",
        "kwargs": "{}",
        "options": None,
        "priority": 5,
        "max_retries": 5,
    }
    return NewJob(**{**values, **changes})


def next_moment() -> None:
    """Wait until the database's clock has moved on: SQLite's has milliseconds, in which much can happen."""
    now = f"SELECT {dialect().now}"
    before = one(now)
    wait_for(lambda: one(now) != before)


def waiting(**changes: Any) -> Job:
    """Write a job for later."""
    return written(delay=3600, **changes)


def written(**changes: Any) -> Job:
    """Write a job and return its row."""
    job = new_job(**changes)
    enqueue_once.write(job)
    return Job.objects.get(pk=job.id)


def claim_as(job: Job, lease_id: str, lease_seconds: float = 60, worker: str = "worker@test") -> None:
    """Claim a job that waits, under this lease."""
    assert verbs.claim(job.id, lease_id=lease_id, lease_seconds=lease_seconds, worker=worker)


def claimed(lease_id: str = LEASE, lease_seconds: float = 60, worker: str = "worker@test", **changes: Any) -> Job:
    """Write a job, claim it, and return its row."""
    job = written(**changes)
    claim_as(job, lease_id, lease_seconds, worker)
    job.refresh_from_db()
    return job


def in_state(state: State) -> Job:
    """Return the row of a job that came into `state` in an ordinary way."""
    match state:
        case State.QUEUED:
            return written()
        case State.SCHEDULED:
            return waiting()
    job = claimed()
    match state:
        case State.RETRYING:
            assert verbs.retry(job.id, LEASE, 3600, ERROR)
        case State.SUCCEEDED:
            assert verbs.succeed(job.id, LEASE)
        case State.DEAD:
            assert verbs.die(job.id, LEASE, ERROR)
        case State.CANCELLED:
            assert verbs.cancel(job.id, LEASE, ERROR)
    job.refresh_from_db()
    return job


def stepped(state: State = State.DEAD) -> Job:
    """Return a job whose task has done two steps."""
    job = in_state(state)
    times = {"started_at": job.created_at, "finished_at": job.created_at}
    for number, name in ((1, "charge"), (2, "send <b>")):
        job.steps.create(number=number, name=name, attempt=1, value=number, is_complete=True, **times)
    return job


def dispatched(seconds_ago: float, **changes: Any) -> Job:
    """Write a job whose message went out some time ago."""
    job = written(**changes)
    maintain.mark_dispatched([job.id])
    Job.objects.filter(pk=job.pk).update(dispatched_at=F("dispatched_at") - timedelta(seconds=seconds_ago))
    job.refresh_from_db()
    return job


def content(job: Job) -> dict[str, Any]:
    """Return all that the ledger holds of a job."""
    return {**Job.objects.filter(pk=job.pk).values().get(), "attempts": list(job.attempts.values())}
