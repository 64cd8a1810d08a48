"""`ledger://` by itself, without a worker: what it hands out, to whom, and what becomes of it."""

import asyncio
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as django_connection, connections, transaction
from django.db.models.functions import Now
from kombu.asynchronous import Hub
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.messaging import Consumer, Producer

from jobs.brokers.ledger import messages
from jobs.brokers.ledger.fetcher import Fetcher
from jobs.brokers.ledger.listening import MOST_KEPT, Kept
from jobs.brokers.ledger.transport import Transport
from jobs.ledger import fetch
from jobs.ledger.notify import GONE
from jobs.models import BrokerMessage, Job
from tests.brokers.application import application_at
from tests.databases import Database
from tests.servers import Postgres
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("application")

on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

WORK = Queue("work", Exchange("work", type="direct"), routing_key="work")


@pytest.fixture
def application(database: Database) -> Iterator[None]:
    """This process without a broker."""
    with application_at("ledger://"):
        yield


@pytest.fixture
def connect() -> Iterator[Callable[[], Connection]]:
    """Open connections to the ledger; they are closed when the test ends."""
    opened: list[Connection] = []

    def connect() -> Connection:
        opened.append(Connection("ledger://"))
        return opened[-1]

    yield connect
    for one in opened:
        one.release()


@pytest.fixture
def link(connect: Callable[[], Connection]) -> Connection:
    """A connection to the ledger."""
    return connect()


def put(link: Connection, *bodies: Any, **options: Any) -> None:
    producer = Producer(link)
    for body in bodies:
        producer.publish(body, exchange="", routing_key="work", declare=[WORK], **options)


def drained(link: Connection, seconds: float = 0.0) -> int:
    """Deliver what waits; return how much that was."""
    count = 0
    while True:
        try:
            link.drain_events(timeout=seconds)
        except TimeoutError:
            return count
        count += 1


class Taker:
    """A consumer that notes what it is handed."""

    def __init__(self, link: Connection, *queues: Queue, prefetch: int = 0, **options: Any) -> None:
        self.messages: list[Any] = []
        self.link = link
        self.consumer = Consumer(link, queues, on_message=self.messages.append, **options)
        if prefetch:
            self.consumer.qos(prefetch_count=prefetch)
        self.consumer.consume()

    def take(self) -> list[Any]:
        """Take what waits, and return all that was ever taken."""
        drained(self.link)
        return self.messages

    @property
    def ids(self) -> list[str]:
        """The jobs taken, in order."""
        return [message.headers["id"] for message in self.messages]

    @property
    def bodies(self) -> list[Any]:
        """What the messages taken say."""
        return [message.payload for message in self.messages]


# --- Messages that are no jobs ----------------------------------------------------------------------


def test_a_message_stays_until_it_is_acknowledged(link: Connection) -> None:
    put(link, {"a": 1})
    taker = Taker(link, WORK)
    (message,) = taker.take()
    assert message.payload == {"a": 1}
    assert BrokerMessage.objects.count() == 1
    message.ack()
    drained(link)
    assert BrokerMessage.objects.count() == 0


def test_acknowledging_once_and_for_all_needs_no_acknowledgement(link: Connection) -> None:
    put(link, 1, 2)
    taker = Taker(link, WORK, no_ack=True)
    assert len(taker.take()) == 2
    drained(link)
    assert BrokerMessage.objects.count() == 0


def test_binary_bodies_and_properties_arrive_as_they_were_sent(link: Connection) -> None:
    body = bytes(range(256))
    put(link, body, content_type="application/data", content_encoding="binary", correlation_id="c1", headers={"x": [1]})
    (message,) = Taker(link, WORK).take()
    assert bytes(message.body) == body
    assert message.headers == {"x": [1]}
    assert message.properties["correlation_id"] == "c1"
    assert message.delivery_info["routing_key"] == "work"


def test_a_message_whose_taker_is_gone_is_delivered_again(connect: Callable[[], Connection]) -> None:
    put(connect(), "hello")
    lost = Taker(connect(), WORK)
    assert len(lost.take()) == 1
    other = Taker(connect(), WORK)
    assert other.take() == []
    BrokerMessage.objects.update(taken_until="2000-01-01T00:00Z")
    (message,) = wait_for(other.take)
    assert message.delivery_info["redelivered"] is True


def test_a_message_that_is_put_back_is_delivered_at_once(link: Connection) -> None:
    put(link, "hello")
    taker = Taker(link, WORK)
    (message,) = taker.take()
    message.requeue()
    wait_for(lambda: len(taker.take()) == 2)
    assert taker.bodies == ["hello", "hello"]


def test_a_message_that_is_rejected_is_gone(link: Connection) -> None:
    put(link, "hello")
    taker = Taker(link, WORK)
    taker.take()[0].reject()
    drained(link)
    assert BrokerMessage.objects.count() == 0


def test_what_was_not_acknowledged_goes_back_when_its_taker_leaves(connect: Callable[[], Connection]) -> None:
    put(connect(), "hello")
    leaving = connect()
    assert len(Taker(leaving, WORK).take()) == 1
    leaving.release()
    assert len(Taker(connect(), WORK).take()) == 1


def test_a_message_belongs_to_the_transaction_it_is_sent_in(link: Connection) -> None:
    with transaction.atomic():
        put(link, "never")
        transaction.set_rollback(True)
    with transaction.atomic():
        put(link, "hello")
        assert Taker(Connection("ledger://"), WORK).take() == []
    assert Taker(link, WORK).take()[0].payload == "hello"


def test_messages_come_by_priority_then_in_order(link: Connection) -> None:
    put(link, "a", "b")
    put(link, "urgent", priority=9)
    taker = Taker(link, WORK)
    taker.take()
    assert taker.bodies == ["urgent", "a", "b"]


def pass_time() -> None:
    """Let whatever can expire have expired."""
    BrokerMessage.objects.exclude(expires_at=None).update(expires_at="2000-01-01T00:00Z")


def test_a_message_that_has_expired_is_not_delivered(link: Connection) -> None:
    put(link, "a", "b")
    put(link, "short-lived", expiration=60)
    pass_time()
    assert link.default_channel.queue_declare("work", passive=True).message_count == 2
    taker = Taker(link, WORK)
    taker.take()
    assert taker.bodies == ["a", "b"]


def test_a_message_is_delivered_before_it_expires(link: Connection) -> None:
    put(link, "in time", expiration=60)
    taker = Taker(link, WORK)
    taker.take()
    assert taker.bodies == ["in time"]


def test_what_expires_while_it_is_fetched_ahead_is_not_got(link: Connection) -> None:
    put(link, "first")
    put(link, "short-lived", expiration=0.3)
    queue = WORK(link.default_channel)
    assert queue.get().payload == "first"
    # A little later, since two clocks tell the time.
    wait_for(lambda: BrokerMessage.objects.filter(expires_at__lt=Now() - timedelta(seconds=0.1)).exists())
    assert queue.get() is None


@pytest.mark.parametrize("buffer", [False, True])
def test_a_simple_queue_gives_nothing_that_has_expired(link: Connection, buffer: bool) -> None:
    kind: Any = link.SimpleBuffer if buffer else link.SimpleQueue
    with closing(kind("simple")) as simple:
        simple.put("short-lived", expiration=60)
        pass_time()
        with pytest.raises(simple.Empty):
            simple.get(timeout=0.2)
        simple.put("in time", expiration=60)
        assert simple.get(timeout=10).payload == "in time"


@pytest.mark.parametrize("buffer", [False, True])
def test_a_simple_queue_gives_the_most_urgent_first(link: Connection, buffer: bool) -> None:
    kind: Any = link.SimpleBuffer if buffer else link.SimpleQueue
    with closing(kind("simple")) as simple:
        for body, priority in (("first", 3), ("second", 6), ("third", 3)):
            simple.put(body, priority=priority)
        assert [simple.get(timeout=10).payload for _ in range(3)] == ["second", "first", "third"]


@pytest.mark.parametrize("expiration", ["soon", "-5", "1.5", "9" * 13])
def test_a_time_to_live_that_is_none_is_refused(link: Connection, expiration: str) -> None:
    envelope = {"properties": {"expiration": expiration}}
    with pytest.raises(ValueError, match=r"expiration='.*' is not valid: it must be milliseconds"):
        messages.put("work", envelope, 0)
    assert not BrokerMessage.objects.exists()


def test_what_nobody_wants_any_more_is_pruned(link: Connection) -> None:
    put(link, "lasting")
    put(link, "short-lived", expiration=60)
    pass_time()
    messages.prune()
    assert BrokerMessage.objects.get().expires_at is None


def test_a_listener_that_is_away_keeps_the_newest_and_the_most_urgent() -> None:
    kept = Kept()
    for number in range(MOST_KEPT + 3):
        kept.add({"properties": {"priority": number % 2}, "body": number}, None)
    assert len(kept) == MOST_KEPT
    first = [kept.next() for _ in range(MOST_KEPT // 2 + 1)]
    assert [envelope["body"] for envelope in first[:3] if envelope] == [1, 3, 5]
    last = kept.next()
    assert last is not None
    # Of those that were least urgent, the oldest went.
    assert last["body"] == 6


def test_messages_can_be_got_one_by_one(link: Connection) -> None:
    put(link, *range(150))
    queue = WORK(link.default_channel)
    got = []
    while (message := queue.get()) is not None:
        got.append(message.payload)
        message.ack()
    assert got == list(range(150))
    assert queue.get() is None
    assert BrokerMessage.objects.count() == 0


def test_the_size_of_a_queue_counts_messages_and_free_jobs(link: Connection) -> None:
    put(link, 1, 2)
    assert link.default_channel.queue_declare(queue="work", passive=True).message_count == 2
    tasks.noop.delay_many([{}, {}, {}])
    assert link.default_channel.queue_declare(queue="default", passive=True).message_count == 3


def test_purging_a_queue_leaves_its_jobs(link: Connection) -> None:
    put(link, 1, 2)
    tasks.noop.delay()
    channel = link.default_channel
    assert (channel.queue_purge("work"), channel.queue_purge("default")) == (2, 0)
    assert Job.objects.filter(state="queued").count() == 1


# --- Jobs -------------------------------------------------------------------------------------------


DEFAULT = Queue("default", Exchange("default"), routing_key="default")
OTHER = Queue("tests.other", Exchange("tests.other"), routing_key="tests.other")


def test_a_job_is_a_message_as_celery_wants_it(link: Connection) -> None:
    job = tasks.note.delay("hello")
    (message,) = Taker(link, DEFAULT).take()
    assert message.headers["task"] == "tests.tasks_app.tasks.note"
    assert message.payload[:2] == [["hello"], {}]
    assert (message.properties["correlation_id"], message.delivery_info["routing_key"]) == (job.id, "default")
    assert job.job.state == "queued"


def test_a_job_is_handed_to_one_taker(connect: Callable[[], Connection]) -> None:
    tasks.noop.delay_many([{}] * 10)
    first, second = Taker(connect(), DEFAULT, prefetch=4), Taker(connect(), DEFAULT, prefetch=20)
    first.take()
    second.take()
    assert (len(first.ids), len(second.ids)) == (4, 6)
    assert len({*first.ids, *second.ids}) == 10


def test_takers_at_the_same_time_get_every_job_once(connect: Callable[[], Connection]) -> None:
    count = 300
    tasks.noop.delay_many([{}] * count)
    takers = [Taker(connect(), DEFAULT, prefetch=8, no_ack=True) for _ in range(4)]

    def work(taker: Taker) -> None:
        while drained(taker.link, 0.3):
            pass
        connections.close_all()

    threads = [threading.Thread(target=work, args=[taker]) for taker in takers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [job_id for taker in takers for job_id in taker.ids]
    assert (len(ids), len(set(ids))) == (count, count)


def test_jobs_come_by_priority_then_in_the_order_of_their_calls(link: Connection) -> None:
    calls = [(number, priority) for number, priority in enumerate([5, 0, 9, 5, 9, 0, 3])]
    ids = {tasks.note.apply_async(args=[str(number)], priority=priority).id: number for number, priority in calls}
    taker = Taker(link, DEFAULT)
    taker.take()
    assert [ids[job_id] for job_id in taker.ids] == [2, 4, 0, 3, 6, 1, 5]


def test_jobs_of_one_call_come_in_order(link: Connection) -> None:
    ids = [job.id for job in tasks.noop.delay_many([{}] * 50)]
    taker = Taker(link, DEFAULT)
    taker.take()
    assert taker.ids == ids


def test_a_full_queue_does_not_keep_another_waiting(link: Connection) -> None:
    tasks.noop.delay_many([{}] * 100)
    other = tasks.elsewhere.delay("hello")
    taker = Taker(link, DEFAULT, OTHER, prefetch=8)
    while other.id not in taker.ids:
        drained(link)
        assert len(taker.ids) <= 16
        for message in taker.messages:
            if not message.acknowledged:
                message.ack()


def test_jobs_do_not_keep_messages_waiting_nor_messages_jobs(link: Connection) -> None:
    tasks.noop.delay_many([{}] * 100)
    producer = Producer(link)
    for number in range(100):
        producer.publish(number, exchange="", routing_key="default", declare=[DEFAULT])
    taker = Taker(link, DEFAULT, prefetch=8)
    for _ in range(4):
        drained(link)
        for message in taker.messages:
            if not message.acknowledged:
                message.ack()
    jobs = [message for message in taker.messages if "id" in message.headers]
    assert 0 < len(jobs) < len(taker.messages)


def test_no_more_is_fetched_than_the_prefetch_limit(link: Connection) -> None:
    tasks.noop.delay_many([{}] * 20)
    taker = Taker(link, DEFAULT, prefetch=4)
    assert len(taker.take()) == 4
    taker.messages[0].ack()
    assert len(taker.take()) == 4, "A fetch is worth its while from half of the limit on."
    taker.messages[1].ack()
    assert len(taker.take()) == 6
    assert Job.objects.filter(dispatched_at__isnull=False).count() == 6


def test_what_was_fetched_and_not_begun_goes_back_when_its_taker_leaves(connect: Callable[[], Connection]) -> None:
    tasks.noop.delay_many([{}] * 5)
    leaving = connect()
    taker = Taker(leaving, DEFAULT, prefetch=3)
    assert len(taker.take()) == 3
    taker.consumer.cancel()
    assert Job.objects.filter(dispatched_at__isnull=False).count() == 0


def test_what_nobody_begins_may_be_fetched_again(connect: Callable[[], Connection]) -> None:
    tasks.noop.delay_many([{}] * 5)
    assert len(Taker(connect(), DEFAULT).take()) == 5
    other = Taker(connect(), DEFAULT)
    assert fetch.redispatch(30, 100) == (0, [])
    assert other.take() == []
    Job.objects.update(dispatched_at="2000-01-01T00:00Z")
    assert fetch.redispatch(30, 100) == (5, ["default"])
    wait_for(lambda: len(other.take()) == 5)


def test_jobs_whose_time_has_come_are_freed(link: Connection) -> None:
    job = tasks.noop.apply_async(countdown=3600)
    assert fetch.queue_due(100) == (0, [])
    Job.objects.update(run_at="2000-01-01T00:00Z")
    assert fetch.queue_due(100) == (1, ["default"])
    assert Taker(link, DEFAULT).take()[0].headers["id"] == job.id


def test_jobs_of_a_paused_queue_stay(link: Connection) -> None:
    tasks.noop.delay()
    with django_connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_queue (name, paused_at, paused_by) VALUES ('default', CURRENT_TIMESTAMP, 'alice')"
        )
    assert Taker(link, DEFAULT).take() == []


# --- Broadcasts -------------------------------------------------------------------------------------


def listen(link: Connection, name: str, key: str = "#", kind: str = "topic") -> Taker:
    queue = Queue(name, Exchange("news", type=kind), routing_key=key, auto_delete=True, durable=False)
    return Taker(link, queue, no_ack=True)


def tell(link: Connection, key: str, body: Any, kind: str = "topic") -> None:
    news = Exchange("news", type=kind)
    Producer(link).publish(body, exchange=news, routing_key=key, declare=[news])


@pytest.mark.parametrize("kind", ["fanout", "topic"])
def test_a_broadcast_reaches_everybody_who_listens(connect: Callable[[], Connection], kind: str) -> None:
    tell(connect(), "worker.online", "before", kind)
    listeners = [listen(connect(), f"news.{number}", kind=kind) for number in range(3)]
    tell(connect(), "worker.online", "hello", kind)
    for listener in listeners:
        wait_for(listener.take)
        assert listener.bodies == ["hello"]


def test_a_listener_hears_what_it_is_bound_to(connect: Callable[[], Connection]) -> None:
    listener = listen(connect(), "news.1", key="worker.#")
    tell(connect(), "task.received", "no")
    tell(connect(), "worker.online", "yes")
    wait_for(listener.take)
    assert listener.bodies == ["yes"]


def test_each_broadcast_is_heard_once(connect: Callable[[], Connection]) -> None:
    listener = listen(connect(), "news.1")
    for number in range(5):
        tell(connect(), "worker.online", number)
        wait_for(lambda wanted=number: len(listener.take()) > wanted)  # type: ignore[misc]
    assert listener.bodies == list(range(5))


@on_postgres
def test_a_broadcast_that_becomes_visible_late_is_heard(connect: Callable[[], Connection]) -> None:
    listener = listen(connect(), "news.1")
    late = connect()
    with transaction.atomic():
        tell(late, "worker.online", "late")

        def tell_early() -> None:
            tell(connect(), "worker.online", "early")
            connections.close_all()

        thread = threading.Thread(target=tell_early)
        thread.start()
        thread.join()
        wait_for(listener.take)
    wait_for(lambda: len(listener.take()) == 2)
    assert listener.bodies == ["early", "late"]


def test_old_broadcasts_are_pruned_and_messages_are_not(link: Connection) -> None:
    put(link, "work")
    tell(link, "worker.online", "old")
    BrokerMessage.objects.update(created_at="2000-01-01T00:00Z")
    messages.prune()
    assert list(BrokerMessage.objects.values_list("queue", flat=True)) == ["work"]


def test_an_exchange_leads_to_its_queues(link: Connection) -> None:
    work = Exchange("work", type="direct")
    Producer(link).publish("hello", exchange=work, routing_key="work", declare=[WORK])
    assert BrokerMessage.objects.get().queue == "work"
    assert Taker(link, WORK).take()[0].payload == "hello"


# --- Where it runs ----------------------------------------------------------------------------------


def test_it_can_be_used_in_a_thread_that_runs_an_event_loop(link: Connection) -> None:
    async def all_of_it() -> list[Any]:
        put(link, "hello")
        listener = listen(link, "news.1")
        tell(link, "worker.online", "news")
        taker = Taker(link, WORK, no_ack=True)
        drained(link, 0.1)
        return [*taker.bodies, *listener.bodies]

    assert asyncio.run(all_of_it()) == ["hello", "news"]


@on_sqlite
def test_no_connection_to_sqlite_is_carried_over_a_fork(link: Connection) -> None:
    taker = Taker(link, DEFAULT)
    drained(link)
    transport: Transport = link.transport
    assert transport.fetcher.link.is_open
    django_connection.close()
    child = os.fork()
    if child == 0:
        os._exit(int(transport.fetcher.link.is_open))
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    tasks.noop.delay()
    assert wait_for(taker.take)


@on_postgres
def test_a_connection_that_was_cut_is_an_error_once(link: Connection, database: Database, postgres: Postgres) -> None:
    taker = Taker(link, DEFAULT)
    drained(link)
    postgres.disconnect_all(database.name)
    django_connection.close()
    with pytest.raises(GONE):
        wait_for(lambda: drained(link, 0.1))
    tasks.noop.delay()
    assert wait_for(taker.take)


class Loop:
    """A worker's event loop, by hand."""

    def __init__(self, link: Connection) -> None:
        self.hub = Hub()
        link.transport.register_with_event_loop(link.connection, self.hub)
        self._steps = self.hub.create_loop()

    def run_until(self, condition: Callable[[], object]) -> None:
        """Go round until a condition holds."""

        def step() -> object:
            next(self._steps)
            return condition()

        wait_for(step, 20)


@pytest.fixture
def loop(link: Connection) -> Iterator[Loop]:
    """An event loop that drives the connection."""
    loop = Loop(link)
    yield loop
    link.release()
    assert not loop.hub.readers
    loop.hub.close()


def test_the_event_loop_hands_over_what_comes(link: Connection, loop: Loop) -> None:
    taker = Taker(link, DEFAULT, prefetch=4)
    tasks.noop.delay_many([{}] * 10)
    loop.run_until(lambda: len(taker.messages) == 4)
    for message in taker.messages:
        message.ack()
    loop.run_until(lambda: len(taker.messages) == 8)
    for message in taker.messages[4:]:
        message.ack()
    loop.run_until(lambda: len(taker.messages) == 10)


@on_postgres
def test_the_event_loop_outlives_a_database_that_is_away(link: Connection, loop: Loop, postgres: Postgres) -> None:
    taker = Taker(link, DEFAULT, prefetch=2)
    tasks.noop.delay_many([{}] * 2)
    loop.run_until(lambda: len(taker.messages) == 2)
    postgres.stop()
    loop.run_until(lambda: link.transport.failures > 2)
    for message in taker.messages:
        message.ack()  # The slots are free although nothing can be written.
    postgres.start()
    django_connection.close()
    tasks.noop.delay_many([{}] * 2)
    loop.run_until(lambda: len(taker.messages) == 4)


@on_postgres
def test_it_waits_on_any_descriptor(link: Connection) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    others = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        fetcher = Fetcher()
        fetcher.look_around()
        assert (fetcher.link.fileno() or 0) > 1023
        fetcher.wait(0.01)
        fetcher.close()
    finally:
        for other in others:
            os.close(other)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "envelope", ["garbage{{", "[1, 2]", '{"properties": 5}', "[" * 5000], ids=lambda text: text[:9]
)
def test_what_is_no_envelope_is_handed_over_as_it_is(link: Connection, envelope: str) -> None:
    BrokerMessage.objects.create(queue="work", envelope=envelope)
    put(link, "after")
    odd, after = Taker(link, WORK).take()
    assert (bytes(odd.body), odd.content_type) == (envelope.encode(), "application/x-unreadable")
    assert after.payload == "after"
