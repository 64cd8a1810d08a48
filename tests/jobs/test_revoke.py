"""Celery's revoke in the ledger: what is cancelled, and what beside it is not."""

import uuid

import pytest
from celery import current_app
from kombu.exceptions import OperationalError

from jobs.core.states import State
from jobs.ledger import attempts, operate
from jobs.models import Job
from jobs.tasks.calls import JobResult
from jobs.worker.losses import Loss, Losses, Recalled
from jobs.worker.request import JobRequest
from jobs.worker.revoke import Revoked
from tests.jobs.delivery import message_of, request_for
from tests.jobs.rows import LEASE, claimed, content, in_state
from tests.servers import Valkey
from tests.tasks_app import tasks

pytestmark = pytest.mark.django_db


def running(job: Job) -> JobRequest:
    """Return the delivery under which a job runs."""
    message = message_of(job)
    request = request_for(message.body, message.headers)
    request.lease_id = LEASE
    return request


@pytest.mark.parametrize("state", [State.QUEUED, State.SCHEDULED, State.RETRYING])
def test_what_waits_is_cancelled_wherever_its_message_is(state: State) -> None:
    job = in_state(state)
    Revoked([str(job.pk)]).write()
    job.refresh_from_db()
    assert (job.state, job.last_error) == (State.CANCELLED, "Revoked by Celery's remote control.")


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.DEAD, State.CANCELLED])
def test_what_has_ended_stays(state: State) -> None:
    job = in_state(state)
    before = content(job)
    Revoked([str(job.pk), str(uuid.uuid4()), "no uuid"], terminate=True).write()
    assert content(job) == before


def test_what_runs_is_ended_only_if_that_is_asked_for() -> None:
    job = claimed()
    Revoked([str(job.pk)]).write()
    assert operate.to_cancel([LEASE]) == set()
    Revoked([str(job.pk)], terminate=True).write()
    assert operate.to_cancel([LEASE]) == {LEASE}


def test_of_a_batch_that_was_ended_only_the_job_that_was_to_be_is_cancelled() -> None:
    unwanted, beside = claimed(task=tasks.noop.name), claimed(task=tasks.noop.name)
    operate.ask_to_cancel([unwanted.pk])
    Loss(running(unwanted), cancelled=True).write()
    unwanted.refresh_from_db()
    beside.refresh_from_db()
    assert (unwanted.state, beside.state) == (State.CANCELLED, State.QUEUED)
    assert beside.attempts.get().error_type == "BatchEnded"
    assert beside.worker_losses == 0


def test_a_batch_that_ended_before_it_could_be_ended_stays() -> None:
    job = claimed(task=tasks.noop.name)
    attempts.succeed(job.pk, LEASE)
    Loss(running(job), cancelled=True).write()
    assert content(job)["state"] == State.SUCCEEDED


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


def test_a_delivery_that_was_recalled_is_held_until_its_end_is_written() -> None:
    job = claimed(task=tasks.noop.name)
    losses, request = Losses(), running(job)
    losses.put(Recalled(request))
    assert losses.holders() == [request]
    losses.write_all()
    assert losses.holders() == []
    job.refresh_from_db()
    assert job.state == State.CANCELLED
