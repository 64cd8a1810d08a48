"""A worker consumes what it should, in whatever order things happen."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from hypothesis import given, strategies as st
from kombu.asynchronous.hub import Hub
from kombu.connection import Connection
from kombu.entity import Exchange, Queue as BrokerQueue

from jobs.ledger.work import find_work
from jobs.models import Queue
from jobs.worker.pauses import DEAF, PARTLY_DEAF, PAUSED, Pauses

pytestmark = pytest.mark.django_db

NAMES = ("one", "two", "three")


class CelerysConsumer:
    """What Celery's consumer has, on a broker in memory and with Kombu's event loop."""

    refusal = ""

    def __init__(self) -> None:
        self.app = Celery(set_as_current=False, broker="memory://")
        self.app.conf.task_queues = [BrokerQueue(name) for name in NAMES]
        self.hub = Hub()
        # Always ready, so that no turn of the loop waits.
        self.read, self.write = os.pipe()
        self.hub.add_writer(self.write, lambda: None)
        self.connection: Any = None
        self.task_consumer: Any = None

    def call_soon(self, call: Callable[..., Any], *args: Any) -> None:
        self.hub.call_soon(call, *args)

    def connect(self, pauses: Pauses) -> None:
        self.connection = Connection("memory://")
        self.connection.connect()
        pauses.select()
        self.task_consumer = self.app.amqp.TaskConsumer(self.connection)
        self.task_consumer.on_message = print
        self.task_consumer.consume()

    def lose(self) -> None:
        self.connection.close()
        self.connection = None

    def close(self) -> None:
        if self.connection is not None:
            self.lose()
        self.hub.close()
        os.close(self.read)
        os.close(self.write)

    def tick(self) -> None:
        next(self.hub.create_loop())

    @property
    def active(self) -> set[str]:
        """What the channel consumes, by its own books."""
        return set(self.task_consumer.channel._active_queues)


@pytest.fixture
def celerys() -> Iterator[CelerysConsumer]:
    consumer = CelerysConsumer()
    yield consumer
    consumer.close()


def paused(*names: str) -> None:
    Queue.objects.all().delete()
    for name in names:
        Queue.objects.create(name=name, paused_at="2020-01-01T00:00:00Z")


def follow(pauses: Pauses) -> None:
    """Do what maintenance does when it has read and written the ledger."""
    pauses.follow(find_work(0, []).paused)
    pauses.open()


steps = st.lists(
    st.sampled_from(["close", "follow", "tick", "connect again", *(f"pause {name}" for name in NAMES), "resume"]),
    max_size=12,
)


@given(steps=steps)
def test_whatever_happened_what_is_consumed_is_what_is_wanted(steps: list[str]) -> None:
    consumer = CelerysConsumer()
    pauses = Pauses(consumer)
    consumer.connect(pauses)
    paused()
    stopped: set[str] = set()
    for step in steps:
        if step == "close":
            pauses.close("The disk is full.")
        elif step == "follow":
            follow(pauses)
        elif step == "tick":
            consumer.tick()
        elif step == "connect again":
            consumer.lose()
            consumer.connect(pauses)
        else:
            stopped = set() if step == "resume" else {*stopped, step.removeprefix("pause ")}
            paused(*stopped)
    follow(pauses)
    consumer.tick()
    assert consumer.active == pauses.consumed() == set(NAMES) - stopped
    consumer.close()


@pytest.mark.parametrize("first", ["close", "open"])
def test_closed_and_opened_again_before_the_loop_turns_leaves_the_last_word(
    celerys: CelerysConsumer, first: str
) -> None:
    pauses = Pauses(celerys)
    celerys.connect(pauses)
    for _ in range(20):
        pauses.close("The disk is full.")
        if first == "open":
            follow(pauses)
            pauses.close("The disk is full.")
        else:
            follow(pauses)
        celerys.tick()
        assert celerys.active == (set() if first == "open" else set(NAMES))


def test_a_worker_that_listens_to_nothing_says_so(celerys: CelerysConsumer) -> None:
    pauses = Pauses(celerys)
    assert pauses.report()["state"] == DEAF
    celerys.connect(pauses)
    assert pauses.report() == {"state": "connected", "queues": sorted(NAMES)}
    # Somebody else's doing, whatever it was.
    for name in NAMES:
        celerys.task_consumer.cancel_by_queue(name)
    assert pauses.report()["state"] == DEAF
    follow(pauses)
    celerys.tick()
    assert pauses.report()["state"] == "connected"


def test_a_worker_whose_queues_are_all_paused_is_not_called_deaf(celerys: CelerysConsumer) -> None:
    pauses = Pauses(celerys)
    celerys.connect(pauses)
    paused(*NAMES)
    follow(pauses)
    celerys.tick()
    assert pauses.report() == {"state": PAUSED, "queues": []}


def test_queues_come_and_go_by_remote_control(celerys: CelerysConsumer) -> None:
    pauses = Pauses(celerys)
    celerys.connect(pauses)
    pauses.add(BrokerQueue("four"))
    pauses.cancel("one")
    assert celerys.active == {"two", "three", "four"}
    celerys.lose()
    celerys.connect(pauses)
    assert celerys.active == {"two", "three", "four"}


def test_a_queue_that_is_refused_keeps_no_other_from_being_consumed(celerys: CelerysConsumer) -> None:
    pauses = Pauses(celerys)
    celerys.connect(pauses)
    celerys.connection.default_channel.exchange_declare("odd", type="topic")
    pauses.add(BrokerQueue("odd", Exchange("odd", type="direct"), routing_key="odd"))
    assert celerys.active == set(NAMES)
    told = pauses.report()
    assert (told["state"], set(told["refused"])) == (PARTLY_DEAF, {"odd"})
    # It is so from the beginning of the next connection, too.
    celerys.lose()
    celerys.connect(pauses)
    assert celerys.active == set(NAMES)
