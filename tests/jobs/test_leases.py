"""What a worker does with leases that it cannot renew: those of locked rows, and those it has lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from celery.worker import state

from jobs.maintenance.renew import SURE_AFTER, Leases
from jobs.models import Job
from jobs.worker.request import JobRequest
from tests.jobs.delivery import delivery_of
from tests.jobs.locks import holding
from tests.jobs.rows import claim_as, written
from tests.tasks_app import tasks
from tests.waiting import wait_for


@pytest.fixture
def leases() -> Iterator[Leases]:
    """The leases of a worker that runs nothing yet."""
    yield Leases()
    state.active_requests.clear()


def running(row: Job) -> JobRequest:
    """Let the worker run a job."""
    request = delivery_of(row)
    claim_as(row, request.lease_id, lease_seconds=5)
    state.active_requests.add(request)
    return request


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres_only
def test_a_locked_row_is_renewed_as_soon_as_it_is_free(leases: Leases) -> None:
    row = written(task=tasks.noop.name)
    request = running(row)
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
    assert request.lease_id == row.lease_id


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    """A process of a pool."""
    made = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield made
    made.kill()
    made.communicate()


@pytest.mark.django_db
def test_a_process_whose_job_is_another_workers_is_ended(leases: Leases, process: "subprocess.Popen[bytes]") -> None:
    row = written(task=tasks.noop.name)
    request = running(row)
    request.worker_pid = process.pid
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
def test_what_its_process_has_still_to_claim_is_not_lost(leases: Leases) -> None:
    request = delivery_of(written(task=tasks.noop.name))
    request.worker_pid = os.getpid()
    state.active_requests.add(request)
    leases.renew()
    assert not leases._lost
