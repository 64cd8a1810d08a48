"""Handing over to the broker never delays, fails or grows the process that enqueues."""

import os
import sys
import time
from collections.abc import Iterator, Sequence

import pytest
from amqp.serialization import dumps as amqp_encoded
from celery import current_app
from django.db import transaction

from jobs.core.states import State
from jobs.enqueue import dispatcher as dispatch
from jobs.enqueue.dispatcher import Dispatcher, dispatcher, flush
from jobs.enqueue.message import Outgoing, messages_of
from jobs.enqueue.publisher import Publisher
from jobs.ledger import maintain
from jobs.models import Job
from tests.jobs.races import at_once
from tests.jobs.rows import new_job
from tests.jobs.wire import jobs_named, messages, queue_length
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

#: What a call may take at most, in seconds: far above its normal time, below every time-out of a connection.
PROMPT = 4


@pytest.fixture(autouse=True)
def fresh_dispatcher(valkey: Valkey) -> Iterator[None]:
    """Begin without a connection, a pause or a message, and leave the broker running."""
    flush()
    valkey.flush()
    yield
    valkey.start()
    flush()


def enqueue_promptly(count: int = 5) -> list[Job]:
    """Commit some jobs in transactions of their own, and prove that it took no time."""
    begin = time.monotonic()
    results = []
    for number in range(count):
        with transaction.atomic():
            results.append(tasks.note.delay(str(number)))
    took = time.monotonic() - begin
    assert took < PROMPT, f"it took {took:.1f} s"
    return [result.job for result in results]


def undispatched() -> int:
    return Job.objects.filter(state=State.QUEUED, dispatched_at=None).count()


@pytest.mark.parametrize("connected", [False, True], ids=["before the first job", "after some"])
def test_a_broker_that_is_down_costs_the_caller_nothing(valkey: Valkey, connected: bool) -> None:
    if connected:
        enqueue_promptly(1)
        wait_for(lambda: undispatched() == 0)
    valkey.kill()
    enqueue_promptly()
    assert undispatched() == 5


@pytest.mark.parametrize("connected", [False, True], ids=["before the first job", "after some"])
def test_a_broker_that_hangs_costs_the_caller_nothing(valkey: Valkey, connected: bool) -> None:
    if connected:
        enqueue_promptly(1)
        wait_for(lambda: undispatched() == 0)
    valkey.pause()
    enqueue_promptly()
    assert undispatched() == 5
    hung = dispatcher()
    begin = time.monotonic()
    # What a process does at its end.
    flush(timeout=0.3)
    assert time.monotonic() - begin < PROMPT
    # What it was about to publish must not come to the tests after this one.
    valkey.start()
    hung.close(timeout=60)
    assert not hung._thread.is_alive()


def test_what_was_enqueued_meanwhile_is_there_for_housekeeping_and_later_jobs_go_out(valkey: Valkey) -> None:
    valkey.kill()
    jobs = enqueue_promptly()
    valkey.start()
    assert {job.id for job in maintain.take_undispatched(0, 100)} == {job.id for job in jobs}

    def sent() -> bool:
        enqueue_promptly(1)
        return queue_length(valkey, "default") > 0

    wait_for(sent, 20)


def test_a_note_that_the_broker_has_a_job_is_taken_in_one_statement_for_many(valkey: Valkey) -> None:
    with transaction.atomic():
        for number in range(20):
            tasks.note.delay(str(number))
    wait_for(lambda: undispatched() == 0)
    assert Job.objects.values("dispatched_at").distinct().count() < 20


def test_no_more_is_kept_in_memory_than_the_limit(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MOST_PENDING", 1_000)
    valkey.pause()
    busy = Dispatcher(current_app)
    for _ in range(500):
        busy.submit([new_job() for _ in range(10)])
    assert busy._waiting <= 1_000
    assert busy._pending.qsize() <= 100
    # What it holds must not come to the tests after this one.
    valkey.start()
    busy.close(timeout=60)
    assert not busy._thread.is_alive()


def test_the_count_of_what_is_kept_stays_true_in_a_process_of_many_threads(valkey: Valkey) -> None:
    crowded = Dispatcher(current_app)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    batch = [new_job()]

    def submit_many(_: int) -> None:
        for _ in range(1_000):
            crowded.submit(batch)

    try:
        at_once(submit_many, 8)
    finally:
        sys.setswitchinterval(interval)
    wait_for(crowded._pending.empty, 30)
    crowded.close(timeout=30)
    assert crowded._waiting == 0


def test_a_forked_process_gets_a_dispatcher_of_its_own(valkey: Valkey) -> None:
    enqueue_promptly(1)
    wait_for(lambda: queue_length(valkey, "default") == 1)
    parent = dispatcher()
    pid = os.fork()
    if pid == 0:
        try:
            own = dispatcher()
            own.submit([new_job()])
            flush(timeout=10)
            os._exit(0 if own is not parent and own.pid == os.getpid() else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert queue_length(valkey, "default") == 2
    assert dispatcher() is parent
    enqueue_promptly(1)
    wait_for(lambda: queue_length(valkey, "default") == 3)


@pytest.mark.parametrize("priority", range(10))
def test_a_higher_priority_is_read_first(valkey: Valkey, priority: int) -> None:
    tasks.note.apply_async(["x"], priority=priority)
    (message,) = wait_for(lambda: messages(valkey, "default"))
    # Redis reads step 0 first.
    assert message.step == 9 - priority


def test_jobs_are_read_by_priority_and_then_in_order(valkey: Valkey) -> None:
    with transaction.atomic():
        ids = [tasks.note.apply_async(["x"], priority=priority).id for priority in (5, 0, 9, 5, 9)]
    wait_for(lambda: len(jobs_named(valkey, "default")) == 5)
    assert jobs_named(valkey, "default") == [ids[number] for number in (2, 4, 0, 3, 1)]


@pytest.mark.parametrize("apart", ["queue", "priority"])
def test_jobs_of_two_queues_or_priorities_share_no_message(apart: str) -> None:
    jobs = [new_job(**{apart: value}) for value in ({"queue": "ab", "priority": (1, 2)}[apart]) for _ in range(150)]
    messages = messages_of(jobs[::2] + jobs[1::2])
    assert [len(message.job_ids) for message in messages] == [100, 50] * 2
    of_each = [{getattr(job, apart) for job in jobs if job.id in message.job_ids} for message in messages]
    assert of_each == [{getattr(message, apart)} for message in messages]


def test_a_job_alone_in_its_queue_has_a_message_that_any_worker_of_celery_understands() -> None:
    job = new_job(queue="alone")
    message = messages_of([new_job(), job, new_job()])[1]
    assert (message.job_ids, message.headers["task"], message.body[:8]) == ((job.id,), job.task, "[[], {},")


class Noting(Publisher):
    """Notes when it was asked to publish, and how many jobs."""

    def __init__(self) -> None:
        super().__init__(current_app)
        self.rounds: list[tuple[float, int]] = []

    def publish(self, messages: Sequence[Outgoing]) -> list[Outgoing]:
        self.rounds.append((time.monotonic(), sum(len(message.job_ids) for message in messages)))
        return super().publish(messages)

    def wait_for(self, rounds: int) -> None:
        """Wait until it was asked that often."""
        wait_for(lambda: len(self.rounds) == rounds)


@pytest.fixture
def noting(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Dispatcher, Noting]]:
    publisher = Noting()
    monkeypatch.setattr(dispatch, "publisher_for", lambda _: publisher)
    quick = Dispatcher(current_app)
    yield quick, publisher
    quick.close()


def test_a_job_that_comes_alone_goes_at_once(
    noting: tuple[Dispatcher, Noting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "GATHER", 0.0)
    monkeypatch.setattr(dispatch, "GATHER_MANY", 60.0)
    alone, publisher = noting
    for number in range(dispatch.MANY * 2):
        alone.submit([new_job()])
        publisher.wait_for(number + 1)


def test_many_jobs_share_fewer_round_trips(noting: tuple[Dispatcher, Noting], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "GATHER_MANY", 0.5)
    crowded, publisher = noting
    crowded.submit([new_job() for _ in range(dispatch.MANY)])
    publisher.wait_for(1)
    for _ in range(7):
        crowded.submit([new_job()])
    publisher.wait_for(2)
    (first, _), (second, together) = publisher.rounds
    assert together == 7
    assert second - first >= 0.5


def test_whatever_headers_the_ledger_gives_back_the_broker_can_carry() -> None:
    # As PostgreSQL keeps 1e22.
    kept = {"large": 10**22, "inside": [{"deep": -(10**30)}], "plain": 7, "text": "x"}
    message = messages_of([new_job(options={"headers": kept})])[0]
    assert amqp_encoded("F", [message.headers])
    assert (message.headers["plain"], message.headers["text"]) == (7, "x")
