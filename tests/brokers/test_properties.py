"""What a job's message says while it waits, on every broker."""

from datetime import datetime
from typing import Any

import pytest
from celery import current_app
from django.utils import timezone

from jobs.enqueue.dispatcher import flush
from tests.brokers.system import System
from tests.brokers.test_contract import OWN, PROPERTIES
from tests.tasks_app import tasks

pytestmark = pytest.mark.timeout(120)


def test_a_message_that_waits_at_the_broker_says_what_the_call_said(system: System) -> None:
    job = tasks.reading.apply_async(("x",), headers={"x-own": OWN}, expires=3600, **PROPERTIES)
    flush()
    found: list[Any] = []
    with (
        current_app.connection_for_read() as connection,
        connection.Consumer(current_app.amqp.queues["default"], on_message=found.append, accept=["json"], no_ack=True),
    ):
        # RabbitMQ may have delivered it before it said that there is a consumer.
        while not found:
            connection.drain_events(timeout=15)
    (message,) = found
    assert {name: message.properties.get(name) for name in ("reply_to", "app_id", "type")} == {
        name: PROPERTIES[name] for name in ("reply_to", "app_id", "type")
    }
    assert (message.content_encoding, message.properties["correlation_id"]) == ("us-ascii", job.id)
    assert (message.headers["x-own"], message.headers["x-user-id"]) == (OWN, "ann")
    assert datetime.fromisoformat(message.headers["expires"]) > timezone.now()
