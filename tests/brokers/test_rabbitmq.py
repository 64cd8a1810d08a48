"""What is RabbitMQ's alone: quorum queues, confirms for many messages together, a lane for what is urgent."""

import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import amqp
import pytest
from amqp.exceptions import MessageNacked
from celery import current_app
from kombu.entity import Queue
from kombu.exceptions import OperationalError
from kombu.messaging import Consumer

from jobs.brokers import lanes
from jobs.core.states import State
from jobs.deadletters.codec import DeadLetterMessage
from jobs.deadletters.publisher import post_many
from jobs.enqueue.message import RawMessage
from jobs.enqueue.publishers import PublishesJobs, publisher_for
from jobs.enqueue.reading import is_chunk, read_chunk
from jobs.models import DeadLetter, Job
from jobs.reports import workers as reports
from tests.brokers.conftest import IMPATIENT
from tests.brokers.messages import message
from tests.brokers.rabbitmq import RabbitMQ
from tests.brokers.system import System
from tests.tasks_app import tasks
from tests.waiting import always, wait_for

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.parametrize("system", ["rabbitmq"], indirect=True),
    pytest.mark.usefixtures("system"),
]


@pytest.fixture
def publisher() -> Iterator[PublishesJobs]:
    """What hands jobs to the broker."""
    publisher = publisher_for(current_app._get_current_object())
    yield publisher
    publisher.close()


@pytest.fixture
def node(rabbitmq_node: RabbitMQ) -> Iterator[RabbitMQ]:
    """A connection to the node that knows nothing of us."""
    with rabbitmq_node.connect() as connection:
        yield connection


def depth(node: amqp.Connection, queue: str) -> int:
    """Return how many messages a queue of RabbitMQ holds."""
    return int(node.channel().queue_declare(queue, passive=True).message_count)


def all_happened(system: System, effects: list[str]) -> bool:
    """Return whether each of these effects happened."""
    return all(map(system.effects.count, effects))


def test_queues_are_quorum_queues(publisher: PublishesJobs, node: amqp.Connection) -> None:
    publisher.publish([message(1)])
    for queue in ("default", "default.urgent"):
        # RabbitMQ refuses to declare a queue again as something else.
        node.channel().queue_declare(queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
        with pytest.raises(amqp.PreconditionFailed):
            node.channel().queue_declare(queue, durable=True, auto_delete=False)


def test_what_does_not_last_belongs_to_one_connection(node: amqp.Connection) -> None:
    """RabbitMQ 4.3 refuses transient queues that are not exclusive."""
    mailbox = current_app.control.mailbox
    with current_app.connection_for_read() as one, current_app.connection_for_read() as other:
        for queue in (mailbox.get_queue("twin@test")(one), mailbox.get_queue("twin@test")(other)):
            assert not queue.durable
            queue.declare()
            with pytest.raises(amqp.exceptions.ResourceLocked):
                node.channel().queue_declare(queue.name, passive=True)


def test_many_messages_are_confirmed_together(publisher: PublishesJobs, node: amqp.Connection) -> None:
    publisher.publish([message(number) for number in range(1200)])
    assert publisher.depth("default") == 1200
    assert depth(node, "default") == 1200


def test_what_was_confirmed_outlives_the_nodes_death(publisher: PublishesJobs, rabbitmq_node: RabbitMQ) -> None:
    # RabbitMQ 3.10 loses a queue itself when it is killed within seconds of its declaration.
    publisher.publish([message(0)])
    rabbitmq_node.restart()
    publisher.publish([message(number) for number in range(1, 200)])
    rabbitmq_node.kill()
    rabbitmq_node.start()
    publisher.close()
    # A message whose confirm was lost with the connection may be there twice.
    wait_for(lambda: publisher.depth("default") >= 200, 60, passing_over=(OSError, OperationalError))


def test_what_the_broker_refuses_is_an_error(node: amqp.Connection) -> None:
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    node.channel().queue_declare("full", durable=True, auto_delete=False, arguments=full)
    with current_app.connection_for_write() as connection, connection.Producer() as producer:
        producer.publish("fits", exchange="", routing_key="full")
        with pytest.raises(MessageNacked):
            producer.publish("too much", exchange="", routing_key="full")
        with pytest.raises(MessageNacked), producer.batch(10):
            producer.publish("too much", exchange="", routing_key="full")
    node.channel().queue_delete("full")


def test_a_message_to_a_queue_that_is_gone_is_an_error(node: amqp.Connection) -> None:
    with current_app.connection_for_write() as connection, connection.Producer() as producer:
        queue = current_app.amqp.queues["default"](producer.channel)
        queue.declare()
        node.channel().queue_delete("default")
        with pytest.raises(amqp.ChannelError, match="NO_ROUTE"):
            producer.publish("lost", exchange="", routing_key="default")


def test_jobs_are_sent_although_their_queue_was_deleted(publisher: PublishesJobs, system: System) -> None:
    publisher.publish([message(1)])
    system.broker.wipe()
    publisher.publish([message(2), message(3)])
    assert publisher.depth("default") >= 2


#: What AMQP cannot write down, and a row or a library's client may say all the same.
UNWRITABLE: dict[str, dict[str, Any]] = {
    "a name of a header that is too long": {"headers": {"x" * 300: 1}},
    "a number of too many bits": {"headers": {"x": 2**70}},
    "a value of a kind that it does not know": {"headers": {"x": object()}},
    "a time before all times": {"headers": {"x": datetime(1900, 1, 1, tzinfo=UTC)}},
    "a property that is too long": {"properties": {"correlation_id": "x" * 300}},
}


@pytest.mark.parametrize("odd", UNWRITABLE.values(), ids=UNWRITABLE)
def test_a_message_that_cannot_be_written_down_holds_up_no_other(publisher: PublishesJobs, odd: dict[str, Any]) -> None:
    sent = [message(1), replace(message(2), **odd), message(3)]
    assert publisher.publish(sent) == []
    assert (publisher.set_aside.errors(), publisher.failures) == ({}, 0)
    with current_app.connection_for_read() as connection:
        queue = current_app.amqp.queues["default"](connection.default_channel)
        got = list(iter(partial(queue.get, no_ack=True), None))
    # One that was sent before the odd one may be there twice.
    assert {one.headers["id"] for one in got if not is_chunk(one.headers)} == {
        sent[0].headers["id"],
        sent[2].headers["id"],
    }
    named = [job_id for one in got if is_chunk(one.headers) for job_id in read_chunk(one.payload)]
    assert named == [*sent[1].job_ids], "Its message names the job, and nothing else."


@pytest.mark.parametrize("odd", UNWRITABLE.values(), ids=UNWRITABLE)
def test_a_letter_that_cannot_be_written_down_is_in_the_table(publisher: PublishesJobs, odd: dict[str, Any]) -> None:
    good = RawMessage(b"good", "application/json", "utf-8", {}, {})
    letters = [DeadLetterMessage("default", one) for one in (good, replace(good, body=b"odd", **odd), good)]
    post_many("default", letters)
    assert publisher.depth("default.dead") >= 2
    assert [bytes(letter.body) for letter in DeadLetter.objects.all()] == [b"odd"]


def test_what_cannot_be_parked_does_not_make_a_worker_deaf(system: System, node: amqp.Connection) -> None:
    node.channel().queue_delete("default.dead")
    node.channel().queue_declare("default.dead", durable=True, auto_delete=False, arguments={"x-max-length": 7})
    try:
        worker = system.start_worker(environment=IMPATIENT, concurrency=1)
        for number in range(40):
            node.channel().basic_publish(amqp.Message(f"garbage {number}"), routing_key="default")
        after = tasks.note.delay("after").job
        wait_for(lambda: Job.objects.get(pk=after.pk).state == State.SUCCEEDED, 40)
        wait_for(lambda: DeadLetter.objects.count() == 40, 40)
        wait_for(lambda: depth(node, "default") == 0, 20)
        assert worker.exit_code is None
    finally:
        node.channel().queue_delete("default.dead")


def test_events_and_answers_wait_for_no_confirm() -> None:
    with current_app.connection_for_write() as connection, connection.Producer() as producer:
        for number in range(3):
            producer.publish(number, exchange="", routing_key="nobody", delivery_mode=1)
        assert producer.channel.unconfirmed == set()


# --- Lanes ------------------------------------------------------------------------------------------


def test_what_is_urgent_goes_by_its_own_lane(publisher: PublishesJobs, node: amqp.Connection) -> None:
    publisher.publish([message(number, priority=number) for number in range(10)])
    assert depth(node, "default") == 6
    assert depth(node, "default.urgent") == 4
    assert publisher.depth("default") == 10
    publisher.close()
    assert publisher.depth("default") == 10, "It is asked for on a connection that has declared nothing."


def test_who_consumes_a_queue_consumes_its_lane_and_does_not_notice(publisher: PublishesJobs) -> None:
    publisher.publish([message(1, priority=5), message(2, priority=9)])
    taken: list[Any] = []
    queue: Queue = current_app.amqp.queues["default"]
    with current_app.connection_for_read() as connection:
        consumer = Consumer(connection, [queue], on_message=taken.append)
        consumer.consume()
        wait_for(lambda: connection.drain_events(timeout=10) or len(taken) == 2)
        assert {one.delivery_info["routing_key"] for one in taken} == {"default"}
        for one in taken:
            one.ack()
        consumer.cancel()
        publisher.publish([message(3, priority=9)])
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.5)
        assert publisher.depth("default") == 1


def test_messages_are_got_from_the_lane_first(publisher: PublishesJobs) -> None:
    publisher.publish([message(1, priority=5), message(2, priority=9)])
    with current_app.connection_for_read() as connection:
        queue = current_app.amqp.queues["default"](connection.default_channel)
        queue.declare()
        got = [queue.get(no_ack=True).payload[0][0] for _ in range(2)]
        assert got == ["2", "1"]
        assert queue.get() is None


def test_a_queue_is_emptied_and_deleted_with_its_lane(publisher: PublishesJobs, node: amqp.Connection) -> None:
    publisher.publish([message(1, priority=5), message(2, priority=9)])
    with current_app.connection_for_read() as connection:
        queue = current_app.amqp.queues["default"](connection.default_channel)
        queue.declare()
        assert queue.purge() == 2
        queue.delete()
    with pytest.raises(amqp.NotFound):
        depth(node, lanes.lane("default"))


def test_what_is_urgent_overtakes_the_backlog(system: System) -> None:
    tasks.note.delay_many([{"effect": f"ordinary {number}"} for number in range(200)])
    tasks.note.apply_async(args=["urgent"], priority=9)
    system.start_worker(concurrency=1)
    wait_for(lambda: len(system.effects) == 201, 40)
    assert system.effects.lines().index("urgent") < 20


def test_a_queue_of_other_arguments_stops_no_other(system: System, node: amqp.Connection) -> None:
    node.channel().queue_declare("tests.other", durable=True, auto_delete=False, arguments={"x-max-length": 7})
    try:
        worker = system.start_worker(environment=IMPATIENT, queues=["tests.other", "default"])
        refused = tasks.elsewhere.delay("elsewhere").job
        tasks.note.delay("here")
        wait_for(lambda: system.effects.count("here"), 20)
        wait_for(lambda: "PRECONDITION_FAILED" in reports.refused_queues(reports.alive()).get("tests.other", ""), 20)
        assert worker.exit_code is None
        assert "Traceback" not in worker.log_text()
    finally:
        node.channel().queue_delete("tests.other")
    wait_for(lambda: system.effects.count("elsewhere"), 60)
    assert Job.objects.get(pk=refused.pk).attempt == 1


def test_a_queue_that_is_deleted_under_its_worker_is_consumed_again(system: System, node: amqp.Connection) -> None:
    worker = system.start_worker(environment=IMPATIENT)
    # Of a queue that is declared again at once, RabbitMQ tells its consumers now and then, and now and then not.
    for number, names in enumerate([["default"], ["default.urgent"], ["default", "default.urgent"]] * 3):
        for name in names:
            node.channel().queue_delete(name)
        wanted = [f"{number} ordinary", f"{number} urgent"]
        for effect, priority in zip(wanted, (5, 9), strict=True):
            tasks.note.apply_async([effect], priority=priority)
        wait_for(partial(all_happened, system, wanted), 20, what=f"jobs after {names} went")
    assert worker.exit_code is None


@pytest.mark.parametrize("name", ["default", "default.urgent"])
def test_a_consumer_that_rabbitmq_has_forgotten_begins_anew(publisher: PublishesJobs, name: str) -> None:
    publisher.publish([message(0)])
    received: list[str] = []
    with current_app.connection_for_read() as connection, connection.channel() as channel:
        queue = current_app.amqp.queues["default"](channel)
        queue.declare()
        consumer = Consumer(channel, [queue], on_message=lambda message: received.append(message.headers["id"]))
        consumer.consume()
        wait_for(lambda: received or connection.drain_events(timeout=5), passing_over=(TimeoutError,))
        [tag] = consumer._active_tags.values()
        # As RabbitMQ does it: this side does not hear of it, nor of what comes then.
        amqp.Channel.basic_cancel(channel, tag if name == "default" else lanes.lane(tag), nowait=True)
        publisher.publish([message(1, priority=5 if name == "default" else 9)])
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.5)
        channel.renew_silent(3600)
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=0.5)
        channel.renew_silent(0)
        wait_for(lambda: len(received) == 2 or connection.drain_events(timeout=1), passing_over=(TimeoutError,))


def test_what_a_silent_consumer_holds_is_neither_lost_nor_delivered_twice(system: System) -> None:
    worker = system.start_worker(concurrency=1, environment={**IMPATIENT, "JOBS_RESEND_SECONDS": "1"})
    gate = system.gate("gate")
    tasks.gated.delay("long", str(gate))
    wait_for(lambda: system.effects.count("long began"))
    names = [f"behind {number}" for number in range(40)]
    for name in names:
        tasks.note.delay(name)
    always(lambda: worker.exit_code is None, 2.5)
    gate.touch()
    wait_for(partial(all_happened, system, names), 20)
    assert [name for name in names if system.effects.count(name) != 1] == []


# --- Properties that cannot be read -----------------------------------------------------------------


class Crafted(amqp.Message):
    """A message whose properties are these bytes."""

    def __init__(self, body: str, properties: bytes) -> None:
        super().__init__(body)
        self._crafted = properties

    def _serialize_properties(self) -> bytes:
        return self._crafted


def crafted(*, content_type: bytes = b"application/json", header: bytes = b"") -> bytes:
    """Return properties: a content type, UTF-8 as encoding, and headers that name a task and end in `header`."""
    headers = b"".join(
        struct.pack(f">B{len(name)}scI{len(value)}s", len(name), name, b"S", len(value), value)
        for name, value in ((b"task", tasks.note.name.encode()), (b"id", b"crafted"), (b"lang", b"py"))
    )
    texts = b"".join(bytes([len(text)]) + text for text in (content_type, b"utf-8"))
    return struct.pack(">H", 0xE000) + texts + struct.pack(">I", len(headers + header)) + headers + header


def nested(kind: bytes, key: bytes, depth: int) -> bytes:
    """Return a header that holds nothing, so many tables or arrays deep."""
    value = b""
    for _ in range(depth):
        value = key + kind + struct.pack(">I", len(value)) + value
    return value if key else b"\x01a" + value


#: What RabbitMQ carries, and Python's client cannot read; most of these ended the worker's process.
UNREADABLE = {
    "tables nested deep": crafted(header=nested(b"F", b"\x01a", 5000)),
    "arrays nested deep": crafted(header=nested(b"A", b"", 5000)),
    "a time beyond all calendars": crafted(header=b"\x01aT" + struct.pack(">Q", 2**63 - 1)),
    "a time after the year 9999": crafted(header=b"\x01aT" + struct.pack(">Q", 253402300800)),
    "a content type that is no UTF-8": crafted(content_type=b"a\xff"),
}


def test_properties_that_cannot_be_read_stop_no_worker(system: System, node: amqp.Connection) -> None:
    worker = system.start_worker(environment=IMPATIENT)
    channel = node.channel()
    channel.confirm_select()
    for properties in UNREADABLE.values():
        for body in ("", json.dumps([["odd"], {}, {}])):
            channel.basic_publish_confirm(Crafted(body, properties), routing_key="default")
    after = tasks.note.delay("after").job
    wait_for(lambda: Job.objects.get(pk=after.pk).state == State.SUCCEEDED, 30)
    wait_for(lambda: DeadLetter.objects.count() == 2 * len(UNREADABLE), 30)
    assert {depth(node, queue) for queue in ("default", "default.dead")} == {0}
    assert worker.exit_code is None
