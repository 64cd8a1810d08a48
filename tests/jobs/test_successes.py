"""Successes that a worker's parent process writes together. On SQLite each pool process writes its own."""

import uuid
from collections.abc import Iterator

import pytest

from jobs.core.states import State
from jobs.ledger import attempts
from jobs.models import Attempt, Job
from jobs.runtime.losses import Success, losses
from jobs.runtime.request import JobRequest
from jobs.runtime.successes import Successes
from tests.jobs.delivery import message_of, request_for
from tests.jobs.rows import LEASE, OTHER_LEASE, claimed, content
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres_only]


@pytest.fixture
def successes() -> Iterator[Successes]:
    collected = Successes()
    collected.open()
    yield collected
    collected.close(5)


def delivery() -> JobRequest:
    """Return the delivery of a job that its pool has begun."""
    job = claimed(task=tasks.noop.name)
    message = message_of(job)
    request = request_for(message.body, message.headers)
    Job.objects.filter(pk=job.pk).update(lease_id=request.lease_id)
    return request


def state(request: JobRequest) -> str:
    return Job.objects.get(pk=request.id).state


def test_each_job_succeeds_under_its_own_lease_and_no_other() -> None:
    first, second, third = claimed(), claimed(OTHER_LEASE), claimed()
    before = content(third)
    leases = {first.pk: LEASE, second.pk: OTHER_LEASE, third.pk: OTHER_LEASE, uuid.uuid4(): LEASE}
    assert attempts.succeed_together(leases) == {first.pk, second.pk}
    assert content(third) == before
    first.refresh_from_db()
    assert (first.state, first.lease_id, first.lease_expires_at) == (State.SUCCEEDED, None, None)
    assert first.finished_at == first.changed_at


def test_what_is_put_is_written(successes: Successes) -> None:
    requests = [delivery() for _ in range(20)]
    for request in requests:
        successes.put(request, 1)
    wait_for(lambda: {state(request) for request in requests} == {State.SUCCEEDED})
    assert successes.holders() == []
    assert not Attempt.objects.exists()


def test_what_was_put_before_the_end_is_written_at_the_end(successes: Successes) -> None:
    requests = [delivery() for _ in range(20)]
    for request in requests:
        successes.put(request, 1)
    successes.close(5)
    assert {state(request) for request in requests} == {State.SUCCEEDED}


def test_a_success_whose_lease_was_lost_is_refused_and_kept(successes: Successes) -> None:
    late, other = delivery(), delivery()
    Job.objects.filter(pk=late.id).update(lease_id=OTHER_LEASE)
    successes.put(late, 3)
    successes.put(other, 1)
    wait_for(lambda: Attempt.objects.filter(job_id=late.id).exists())
    refused = Attempt.objects.get(job_id=late.id)
    assert (refused.number, refused.outcome, refused.error_type) == (3, "refused", "Succeeded")
    wait_for(lambda: state(other) == State.SUCCEEDED)
    assert state(late) == State.RUNNING


def test_where_nothing_is_offered_a_success_is_housekeepings_to_write() -> None:
    request = delivery()
    Successes().put(request, 1)
    assert losses.unwritten() == [Success(request, 1)]
    assert losses.holders() == [request]
    losses.write_all()
    assert state(request) == State.SUCCEEDED
    assert losses.unwritten() == []
