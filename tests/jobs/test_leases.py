"""What a worker does with leases that it cannot renew: those of locked rows, and those it has lost."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

import pytest

from jobs.maintenance.renew import SURE_AFTER, Leases
from jobs.models import Job
from jobs.worker.engine import Engine
from tests.jobs.locks import holding
from tests.jobs.reserving import Reserving, begun_by
from tests.jobs.rows import written
from tests.tasks_app import tasks
from tests.waiting import wait_for


@pytest.fixture
def worker() -> Reserving:
    """A worker that runs nothing yet."""
    return Reserving()


@pytest.fixture
def leases(worker: Reserving) -> Leases:
    """Its leases."""
    return Leases(cast("Engine", worker))


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres_only
def test_a_locked_row_is_renewed_as_soon_as_it_is_free(worker: Reserving, leases: Leases) -> None:
    row = written(task=tasks.noop.name)
    job = worker.reserve(row)
    row.refresh_from_db()
    before = row.lease_expires_at
    with holding(row):
        leases.renew()
        leases.renew_again()
    row.refresh_from_db()
    assert row.lease_expires_at == before
    leases.renew_again()
    row.refresh_from_db()
    assert before is not None
    assert row.lease_expires_at is not None
    assert row.lease_expires_at > before
    assert job.job.lease_id == row.lease_id


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    """A process of a pool."""
    made = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield made
    made.kill()
    made.communicate()


@pytest.mark.django_db
def test_a_process_whose_job_is_another_workers_is_ended(
    worker: Reserving, leases: Leases, process: "subprocess.Popen[bytes]"
) -> None:
    row = written(task=tasks.noop.name)
    begun_by(worker.reserve(row), process.pid)
    leases.renew()
    Job.objects.filter(pk=row.pk).update(lease_id="b" * 32)

    def is_ended() -> bool:
        leases.renew_again()
        return process.poll() is not None

    leases.renew()
    assert not is_ended()
    wait_for(is_ended, SURE_AFTER + 10)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.django_db
def test_what_is_still_to_be_claimed_is_not_lost(worker: Reserving, leases: Leases) -> None:
    worker.reserved.ask(["a" * 32])
    leases.renew()
    assert not leases._lost
