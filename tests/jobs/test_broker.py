"""The connection that publishes jobs, against a real broker."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import ANY

import pytest
from celery import current_app

from jobs.enqueue.message import Outgoing, RawMessage
from jobs.enqueue.publisher import Publisher
from jobs.enqueue.set_aside import QueueRefused
from tests.servers import Valkey
from tests.waiting import wait_for


@pytest.fixture
def publisher(valkey: Valkey) -> Iterator[Publisher]:
    """A publisher connected to the test's broker."""
    publisher = Publisher(current_app._get_current_object())
    yield publisher
    publisher.close()


def _message() -> Outgoing:
    job_id = uuid.uuid4()
    return Outgoing((job_id,), "default", 5, "[[], {}, {}]", {"id": str(job_id), "task": "x"})


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


def test_a_refused_queue_is_set_aside_and_the_others_are_published_to(publisher: Publisher, valkey: Valkey) -> None:
    valkey.client.set("odd", "a key that is no list")
    odd = replace(_message(), queue="odd")
    assert publisher.publish([odd, _message(), replace(odd, job_ids=(uuid.uuid4(),)), _message()]) == [odd, ANY]
    assert publisher.depth("default") == 2
    assert "WRONGTYPE" in publisher.set_aside.errors()["odd"]
    # The connection is all right, and nobody asks again at once.
    assert publisher.failures == 0
    valkey.client.delete("odd")
    assert publisher.publish([odd]) == [odd]
    wait_for(lambda: publisher.publish([odd]) == [])
    assert publisher.set_aside.errors() == {}
    assert publisher.depth("odd") == 1


def test_a_queue_that_turns_odd_after_it_was_declared_is_set_aside(publisher: Publisher, valkey: Valkey) -> None:
    assert publisher.publish([_message()]) == []
    (key,) = valkey.client.keys("default*")
    valkey.client.set(key, "a key that is no list")
    assert len(publisher.publish([_message()])) == 1
    assert publisher.depth("default") == 0


def test_a_raw_message_to_a_refused_queue_raises(publisher: Publisher, valkey: Valkey) -> None:
    valkey.client.set("odd.dead", "a key that is no list")
    for _ in range(2):
        with pytest.raises(QueueRefused, match="WRONGTYPE"):
            publisher.publish_raw("odd.dead", [RawMessage(b"{}", "application/json", "utf-8", {}, {})])
