"""What maintenance finds due is sent together, and what the broker does not take is found again."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from celery import current_app
from django.utils import timezone

from jobs.enqueue.publisher import PublishesJobs, publisher_for
from jobs.maintenance.redispatch import Redispatch
from jobs.models import Job
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
