"""Messages from Redis come several at a time, within the consumer's limit, the most urgent first."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.messaging import Consumer

from jobs import brokers
from tests.servers import Valkey
from tests.waiting import always, wait_for

brokers.register()

LIMIT = 4


class Reader:
    """A consumer that keeps what it receives and acknowledges on request."""

    def __init__(self, connection: Connection, queues: list[Queue], limit: int) -> None:
        self.connection = connection
        self.messages: list[Any] = []
        self._consumer = Consumer(connection, queues, on_message=self.messages.append)
        self._consumer.qos(prefetch_count=limit)
        self._consumer.consume()

    @property
    def bodies(self) -> list[str]:
        """What came, in order."""
        return [message.payload for message in self.messages]

    def look(self, seconds: float = 0.05) -> "Reader":
        """Receive what there is."""
        try:
            self.connection.drain_events(timeout=seconds)
        except TimeoutError:
            pass
        return self

    def has(self, count: int) -> bool:
        """Look, and return whether it has received exactly so many by now."""
        return len(self.look().messages) == count

    def stop(self) -> None:
        """Consume no more, and put back what comes in answer to the last question."""
        self._consumer.cancel()
        channel: Any = self._consumer.channel
        channel.give_back()

    def acknowledge(self, count: int) -> None:
        """Acknowledge the first messages that are not yet."""
        for message in [message for message in self.messages if not message.acknowledged][:count]:
            message.ack()


@pytest.fixture
def connect(valkey: Valkey) -> Iterator[Callable[..., Connection]]:
    connections: list[Connection] = []

    def connect(**options: Any) -> Connection:
        options = {"ack_emulation": False, "priority_steps": list(range(10)), **options}
        connections.append(Connection(valkey.url, transport_options=options))
        return connections[-1]

    yield connect
    for connection in connections:
        connection.release()


def publish(connection: Connection, bodies: list[str], queue: str = "some", **properties: Any) -> None:
    with connection.Producer() as producer:
        for body in bodies:
            producer.publish(body, routing_key=queue, exchange="", declare=[Queue(queue)], **properties)


def reader(connection: Connection, *queues: str, limit: int = LIMIT) -> Reader:
    return Reader(connection, [Queue(queue, routing_key=queue) for queue in queues or ["some"]], limit)


@contextmanager
def without_blmpop(valkey: Valkey) -> Iterator[None]:
    """Let the server be one that does not allow BLMPOP."""
    valkey.client.execute_command("ACL", "SETUSER", "default", "-blmpop")  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        valkey.client.execute_command("ACL", "SETUSER", "default", "+@all")  # type: ignore[no-untyped-call]


def test_all_that_may_be_held_comes_at_once(connect: Callable[..., Connection]) -> None:
    connection = connect()
    publish(connection, [str(number) for number in range(10)])
    reading = reader(connection)
    wait_for(lambda: reading.look().messages)
    assert reading.bodies == ["0", "1", "2", "3"]


def test_no_more_comes_than_may_be_held(connect: Callable[..., Connection]) -> None:
    connection = connect()
    publish(connection, [str(number) for number in range(10)])
    reading = reader(connection)
    wait_for(lambda: reading.has(LIMIT))
    always(lambda: reading.has(LIMIT), 0.3)


def test_more_comes_when_half_of_the_limit_is_free(connect: Callable[..., Connection]) -> None:
    connection = connect()
    publish(connection, [str(number) for number in range(10)])
    reading = reader(connection)
    wait_for(lambda: reading.has(LIMIT))
    reading.acknowledge(1)
    always(lambda: reading.has(LIMIT), 0.3)
    reading.acknowledge(1)
    wait_for(lambda: reading.has(LIMIT + 2))


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_small_limit_stalls_nothing(connect: Callable[..., Connection], limit: int) -> None:
    connection = connect()
    publish(connection, [str(number) for number in range(7)])
    reading = reader(connection, limit=limit)

    def all_came() -> bool:
        reading.look().acknowledge(limit)
        return len(reading.messages) == 7

    wait_for(all_came)
    assert reading.bodies == [str(number) for number in range(7)]


def test_without_a_limit_all_comes(connect: Callable[..., Connection]) -> None:
    connection = connect()
    publish(connection, [str(number) for number in range(250)])
    reading = reader(connection, limit=0)
    wait_for(lambda: reading.has(250))


def test_the_most_urgent_come_first(connect: Callable[..., Connection]) -> None:
    connection = connect()
    for priority in (9, 0, 5):
        publish(connection, [f"{priority}a", f"{priority}b"], priority=priority)
    reading = reader(connection)
    wait_for(lambda: reading.has(LIMIT))
    assert reading.bodies == ["0a", "0b", "5a", "5b"]


def test_queues_take_turns(connect: Callable[..., Connection]) -> None:
    connection = connect()
    for queue in ("one", "two"):
        publish(connection, [queue] * 20, queue=queue)
    reading = reader(connection, "one", "two")

    def both_came() -> bool:
        reading.look().acknowledge(LIMIT)
        return set(reading.bodies) == {"one", "two"}

    wait_for(both_came)
    assert len(reading.messages) < 20


def test_keys_may_have_a_prefix(connect: Callable[..., Connection], valkey: Valkey) -> None:
    connection = connect(global_keyprefix="site-")
    publish(connection, ["a", "b"])
    assert valkey.client.exists("site-some")
    reading = reader(connection)
    wait_for(lambda: reading.has(2))


def test_an_item_that_cannot_be_read_does_not_hide_the_next(connect: Callable[..., Connection], valkey: Valkey) -> None:
    connection = connect()
    publish(connection, ["a"])
    valkey.client.lpush("some", "no envelope")
    publish(connection, ["b"])
    reading = reader(connection)
    wait_for(lambda: reading.has(3))
    assert [message.body for message in reading.messages][1] == b"no envelope"


@pytest.mark.parametrize("prefix", ["", "site-"])
def test_a_server_without_blmpop_serves_one_by_one(
    connect: Callable[..., Connection], valkey: Valkey, prefix: str
) -> None:
    connection = connect(global_keyprefix=prefix)
    publish(connection, ["a", "b", "c"])
    with without_blmpop(valkey):
        reading = reader(connection)
        wait_for(lambda: reading.has(3))
    assert reading.bodies == ["a", "b", "c"]


def test_each_message_has_a_tag_of_its_own(connect: Callable[..., Connection]) -> None:
    publish(connect(), ["1", "2"])
    consumer = reader(connect())
    wait_for(lambda: consumer.has(2))
    assert len({uuid.UUID(message.delivery_tag) for message in consumer.messages}) == 2


@pytest.mark.parametrize("prefix", ["", "ours:"])
def test_what_comes_for_whoever_consumes_no_more_goes_back_as_it_was(
    connect: Callable[..., Connection], valkey: Valkey, prefix: str
) -> None:
    reading = reader(connect(global_keyprefix=prefix)).look()
    # The question stands. In one transaction, so that the answer has all of them.
    items = [b'{"no envelope', b"\xff", b"third"]
    with valkey.client.pipeline(transaction=True) as together:
        for item in items:
            together.lpush(f"{prefix}some", item)
        together.execute()
    wait_for(lambda: not valkey.client.exists(f"{prefix}some"))
    reading.stop()
    assert valkey.client.lrange(f"{prefix}some", 0, -1) == items[::-1]


def test_whoever_consumes_no_more_and_is_given_nothing_has_nothing_to_put_back(
    connect: Callable[..., Connection], valkey: Valkey
) -> None:
    reading = reader(connect()).look()
    reading.stop()
    reading.stop()
    publish(connect(), ["0"])
    always(lambda: valkey.client.llen("some") == 1, 0.3)
