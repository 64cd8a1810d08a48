"""A row named by its id is found by its id, however wrong PostgreSQL's idea of the table is."""

import uuid
from collections.abc import Callable

import pytest
from django.db import connection

from jobs.ledger import attempts, claims, handout, operate, upkeep
from jobs.models import Job
from tests.jobs.rows import ERROR, LEASE, claimed, written

pytestmark = [pytest.mark.django_db, pytest.mark.postgres_only]

#: The indexes of rows in a state.
PARTIAL = ("jobs_job_due", "jobs_job_queued", "jobs_job_waiting", "jobs_job_leases")


@pytest.fixture
def believed_idle() -> None:
    """Let PostgreSQL believe that all jobs have ended, then have some wait and some run."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_job (id, task, queue, state, args, kwargs, finished_at)"
            " SELECT gen_random_uuid(), 'task', 'default', 'succeeded', '[]', '{}', now() FROM generate_series(1, 3000)"
        )
        cursor.execute("ANALYZE jobs_job")
    for number in range(5):
        written()
        claimed(lease_id=f"{number}" * 32)


def scans() -> dict[str, int]:
    """Return how often this transaction has looked into each of the partial indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_stat_get_xact_numscans(oid) FROM pg_class WHERE relname = ANY(%s)", [list(PARTIAL)]
        )
        return dict(cursor.fetchall())


def claim(job_id: uuid.UUID) -> object:
    return claims.claim(job_id, lease_id=LEASE, lease_seconds=60, worker="worker@test")


QUEUED: dict[str, Callable[[uuid.UUID], object]] = {
    "claim": claim,
    "condemn": lambda job_id: attempts.condemn(job_id, ERROR),
    "mark_dispatched": lambda job_id: upkeep.mark_dispatched([job_id]),
    "undispatch": lambda job_id: upkeep.undispatch([job_id]),
    "give_back": lambda job_id: handout.give_back(connection, [job_id]),
    "cancel": lambda job_id: operate.cancel([job_id], "not wanted"),
}
RUNNING: dict[str, Callable[[uuid.UUID], object]] = {
    "succeed": lambda job_id: attempts.succeed(job_id, LEASE),
    "succeed_many": lambda job_id: attempts.succeed_many([job_id], LEASE),
    "held": lambda job_id: claims.held(job_id, LEASE),
    "retry": lambda job_id: attempts.retry(job_id, LEASE, 1, ERROR),
    "snooze": lambda job_id: attempts.snooze(job_id, LEASE, 1, "later"),
    "ask_to_cancel": lambda job_id: operate.ask_to_cancel([job_id]),
}


@pytest.mark.usefixtures("believed_idle")
@pytest.mark.parametrize("verb", QUEUED)
def test_a_queued_job_is_found_by_its_id(verb: str) -> None:
    job = written()
    before = scans()
    QUEUED[verb](job.id)
    assert scans() == before


@pytest.mark.usefixtures("believed_idle")
@pytest.mark.parametrize("verb", RUNNING)
def test_a_running_job_is_found_by_its_id(verb: str) -> None:
    job = claimed(lease_id=LEASE)
    before = scans()
    RUNNING[verb](job.id)
    assert scans() == before


@pytest.mark.usefixtures("believed_idle")
def test_the_count_would_show_it() -> None:
    before = scans()
    Job.objects.filter(state="queued", dispatched_at=None).order_by("queue", "-priority", "run_at", "id").first()
    assert scans() != before
