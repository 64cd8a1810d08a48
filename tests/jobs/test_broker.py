"""The connection that publishes jobs, against a real broker."""

import uuid
from collections.abc import Iterator

import pytest
from celery import current_app

from jobs.runtime.broker import Publisher
from jobs.runtime.message import Outgoing
from tests.servers import Valkey


@pytest.fixture
def publisher(valkey: Valkey) -> Iterator[Publisher]:
    """A publisher connected to the test's broker."""
    publisher = Publisher(current_app._get_current_object())
    yield publisher
    publisher.close()


def _message() -> Outgoing:
    job_id = uuid.uuid4()
    return Outgoing(job_id, "default", 5, "[[], {}, {}]", {"id": str(job_id), "task": "x"})


def test_depth_counts_what_waits(publisher: Publisher) -> None:
    publisher.publish([_message(), _message()])
    assert publisher.depth("default") == 2


def test_an_empty_queue_has_depth_zero(publisher: Publisher) -> None:
    assert publisher.depth("default") == 0


def test_a_wiped_broker_has_depth_zero_and_takes_messages_again(publisher: Publisher, valkey: Valkey) -> None:
    publisher.publish([_message()])
    valkey.flush()
    assert publisher.depth("default") == 0
    publisher.publish([_message()])
    assert publisher.depth("default") == 1


def test_a_broken_connection_is_replaced_at_once(publisher: Publisher, valkey: Valkey) -> None:
    publisher.publish([_message()])
    valkey.restart()
    publisher.publish([_message()])
    assert publisher.depth("default") == 1
    assert publisher.failures == 0


def test_failures_are_counted_until_the_broker_is_back(publisher: Publisher, valkey: Valkey) -> None:
    valkey.stop()
    for _ in range(2):
        with pytest.raises(Exception, match="refused"):
            publisher.publish([_message()])
    assert publisher.failures == 2
    valkey.start()
    publisher.publish([_message()])
    assert publisher.failures == 0
