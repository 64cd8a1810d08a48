"""Celery's revoke in the ledger: what is cancelled, and what beside it is not."""

import uuid

import pytest
from celery import current_app
from kombu.exceptions import OperationalError

from jobs.core.states import State
from jobs.ledger import operate
from jobs.models import Job
from jobs.tasks.calls import JobResult
from jobs.worker.revoke import Revoked
from tests.jobs.reserving import Consuming
from tests.jobs.rows import LEASE, claimed, content, in_state
from tests.servers import Valkey

pytestmark = pytest.mark.django_db


def revoke(*task_ids: str, terminate: bool = False) -> None:
    """Revoke as a worker does that hears of it."""
    Revoked(task_ids, terminate=terminate, consumer=Consuming()).write()


@pytest.mark.parametrize("state", [State.QUEUED, State.SCHEDULED, State.RETRYING])
def test_what_waits_is_cancelled_wherever_its_message_is(state: State) -> None:
    job = in_state(state)
    revoke(str(job.pk))
    job.refresh_from_db()
    assert (job.state, job.last_error) == (State.CANCELLED, "Revoked by Celery's remote control.")


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.DEAD, State.CANCELLED])
def test_what_has_ended_stays(state: State) -> None:
    job = in_state(state)
    before = content(job)
    revoke(str(job.pk), str(uuid.uuid4()), "no uuid", terminate=True)
    assert content(job) == before


def test_what_runs_is_ended_only_if_that_is_asked_for() -> None:
    job = claimed()
    revoke(str(job.pk))
    assert operate.to_cancel([LEASE]) == set()
    revoke(str(job.pk), terminate=True)
    assert operate.to_cancel([LEASE]) == {LEASE}


@pytest.mark.parametrize("state", [State.QUEUED, State.SCHEDULED, State.RETRYING])
def test_what_is_revoked_while_no_worker_listens_is_revoked(state: State, valkey: Valkey) -> None:
    job = in_state(state)
    JobResult(str(job.pk), app=current_app).revoke()
    job.refresh_from_db()
    assert (job.state, job.last_error) == (State.CANCELLED, operate.REVOKED)


def test_a_revoke_with_terminate_is_asked_of_whoever_runs_it(valkey: Valkey) -> None:
    job = claimed()
    result = JobResult(str(job.pk), app=current_app)
    result.revoke()
    assert operate.to_cancel([LEASE]) == set()
    result.revoke(terminate=True)
    assert operate.to_cancel([LEASE]) == {LEASE}


def test_many_are_revoked_together_and_ids_of_plain_tasks_with_them(valkey: Valkey) -> None:
    jobs = [in_state(State.QUEUED) for _ in range(3)]
    current_app.control.revoke([*(str(job.pk) for job in jobs), str(uuid.uuid4()), "no uuid"])
    assert set(Job.objects.values_list("state", flat=True)) == {State.CANCELLED}


def test_what_is_revoked_while_the_broker_is_away_is_revoked(valkey: Valkey) -> None:
    job = in_state(State.QUEUED)
    valkey.stop()
    JobResult(str(job.pk), app=current_app).revoke()
    job.refresh_from_db()
    assert job.state == State.CANCELLED
    # Of a plain task nobody else knows.
    with pytest.raises(OperationalError):
        current_app.control.revoke(str(uuid.uuid4()))
