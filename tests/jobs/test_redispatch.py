"""What maintenance finds due is sent together, and what the broker does not take is found again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.utils import timezone

from jobs.core.held_by import HeldBy
from jobs.core.states import State
from jobs.enqueue.publishers import PublishesJobs, publisher_for
from jobs.ledger.work import Work, find_work
from jobs.maintenance.redispatch import Redispatch
from jobs.models import Job, Queue
from tests.jobs.rows import written
from tests.jobs.wire import jobs_named, messages
from tests.servers import Valkey

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def publisher(valkey: Valkey) -> Iterator[PublishesJobs]:
    made = publisher_for(current_app._get_current_object())
    yield made
    made.close()
    valkey.start()


def due(count: int, queue: str = "default") -> list[Job]:
    """Write jobs whose time has come, in the order in which it came."""
    now = timezone.now() - timedelta(seconds=10)
    return [written(queue=queue, run_at=now + timedelta(milliseconds=number)) for number in range(count)]


@pytest.mark.parametrize(
    "name, values, waiting",
    [
        ("due", {"state": State.SCHEDULED}, {"run_at": timezone.now() + timedelta(days=1)}),
        ("due", {"state": State.RETRYING}, {"state": State.SUCCEEDED, "finished_at": timezone.now()}),
        ("undispatched", {"state": State.QUEUED}, {"run_at": timezone.now() + timedelta(days=1)}),
        ("undispatched", {"state": State.QUEUED}, {"dispatched_at": timezone.now()}),
        ("undispatched", {"state": State.QUEUED}, {"queue": "refused"}),
        ("undispatched", {"state": State.QUEUED}, {"queue": "paused"}),
        (
            "held",
            {"state": State.QUEUED, "held_by": HeldBy.UNKNOWN_TASK},
            {"held_by": None, "dispatched_at": timezone.now()},
        ),
    ],
)
def test_one_look_says_what_there_is_to_do(name: str, values: dict[str, Any], waiting: dict[str, Any]) -> None:
    Queue.objects.create(name="paused", paused_at=timezone.now())
    Queue.objects.create(name="resumed")
    nothing = Work(frozenset(), frozenset({"paused"}))
    assert find_work(3, ["refused"]) == nothing
    job = Job.objects.filter(id=written().id)
    job.update(run_at=timezone.now() - timedelta(seconds=10), **values)
    assert find_work(3, ["refused"]) == replace(nothing, kinds=frozenset({name}))
    job.update(**waiting)
    assert find_work(3, ["refused"]) == nothing


def undispatched() -> set[str]:
    return {str(job.id) for job in Job.objects.filter(dispatched_at=None)}


def test_jobs_that_are_due_together_share_messages(publisher: PublishesJobs, valkey: Valkey) -> None:
    jobs = due(120)
    assert not Redispatch(publisher).due()
    assert len(messages(valkey, "default")) == 2
    assert sorted(jobs_named(valkey, "default")) == sorted(str(job.id) for job in jobs)
    assert undispatched() == set()


def test_all_jobs_of_a_chunk_that_the_broker_did_not_take_are_found_again(
    publisher: PublishesJobs, valkey: Valkey
) -> None:
    jobs = due(3)
    valkey.stop()
    with pytest.raises(Exception, match="refused"):
        Redispatch(publisher).due()
    assert undispatched() == {str(job.id) for job in jobs}
    valkey.start()
    Job.objects.update(run_at=timezone.now() - timedelta(seconds=60))
    Redispatch(publisher).undispatched()
    assert sorted(jobs_named(valkey, "default")) == sorted(str(job.id) for job in jobs)


def test_a_queue_that_the_broker_refuses_keeps_its_jobs_alone(publisher: PublishesJobs, valkey: Valkey) -> None:
    valkey.client.set("odd", "a key that is no list")
    refused, sent = due(3, "odd"), due(3)
    Redispatch(publisher).due()
    assert undispatched() == {str(job.id) for job in refused}
    assert sorted(jobs_named(valkey, "default")) == sorted(str(job.id) for job in sent)
