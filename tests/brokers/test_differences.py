"""What differs from broker to broker. `docs/brokers.md` has a table of it; each of its cells names a test."""

import signal
import statistics
import time
from pathlib import Path

import pytest
from celery import current_app
from django.db import transaction

from jobs.enqueue import dispatcher
from jobs.enqueue.publisher import publisher_for
from jobs.models import BrokerMessage, Job
from tests.brokers.conftest import IMPATIENT
from tests.brokers.flower import Flower
from tests.brokers.house import House
from tests.brokers.messages import message
from tests.tasks_app import tasks
from tests.tasks_app.effects import VARIABLE
from tests.waiting import always, wait_for

pytestmark = pytest.mark.timeout(180)


def on(*brokers: str) -> pytest.MarkDecorator:
    """Run a test on these brokers only."""
    return pytest.mark.parametrize("house", brokers, indirect=True)


LEDGERS = ("ledger-postgres", "ledger-sqlite")


def test_jobs_of_one_priority_begin_in_the_order_of_their_calls(house: House) -> None:
    names = [str(number) for number in range(40)]
    tasks.note.delay_many([{"effect": name} for name in names])
    dispatcher.flush()
    house.start_worker(pool="solo", concurrency=1)
    wait_for(lambda: len(house.effects) == len(names), 20)
    assert house.effects.lines() == names


@on("valkey", *LEDGERS)
def test_each_priority_goes_before_the_lower_ones(house: House) -> None:
    priorities = [5, 0, 9, 3, 7, 1, 8, 2, 6, 4] * 3
    for priority in priorities:
        tasks.note.apply_async(args=[str(priority)], priority=priority)
    dispatcher.flush()
    house.start_worker(pool="solo", concurrency=1)
    wait_for(lambda: len(house.effects) == len(priorities), 20)
    assert house.effects.lines() == sorted(house.effects.lines(), reverse=True)


@on("rabbitmq")
def test_what_is_urgent_shares_the_workers_with_the_rest(house: House) -> None:
    tasks.note.delay_many([{"effect": "ordinary"} for _ in range(150)])
    for number in range(50):
        tasks.note.apply_async(args=["urgent"], priority=6 + number % 4)
    dispatcher.flush()
    house.start_worker(pool="solo", concurrency=1)
    wait_for(lambda: len(house.effects) == 200, 30)
    # Sent last, they would be the last 50 without a lane.
    assert house.effects.lines()[:130].count("urgent") == 50


@on(*LEDGERS, "rabbitmq")
def test_a_plain_task_that_a_killed_worker_had_fetched_runs(house: House) -> None:
    _fetch_a_plain_task_and_die(house)
    house.start_worker(environment=IMPATIENT, concurrency=1)
    wait_for(lambda: house.effects.count("plain"), 30)


@on("valkey")
def test_a_plain_task_that_a_killed_worker_had_fetched_is_lost(house: House) -> None:
    _fetch_a_plain_task_and_die(house)
    house.start_worker(environment=IMPATIENT, concurrency=1)
    always(lambda: not house.effects.count("plain"), 4)


def _fetch_a_plain_task_and_die(house: House) -> None:
    """Let a worker fetch a plain task, busy with another one, and kill it."""
    worker = house.start_worker(environment=IMPATIENT, concurrency=1)
    tasks.gated.delay("busy", str(house.gate("gate")))
    wait_for(lambda: house.effects.count("busy began"))
    tasks.plain.delay("plain")
    inspect = current_app.control.inspect(destination=[f"{worker.name}@test"], timeout=10)
    wait_for(lambda: any(task["name"].endswith(".plain") for task in inspect.reserved()[f"{worker.name}@test"]), 20)
    worker.kill()


def test_a_plain_task_that_a_stopping_worker_had_fetched_runs(house: House) -> None:
    worker = house.start_worker(concurrency=1)
    gate = house.gate("gate")
    tasks.gated.delay("busy", str(gate))
    wait_for(lambda: house.effects.count("busy began"))
    for number in range(8):
        tasks.plain.delay(f"plain {number}")
    worker.signal(signal.SIGTERM)
    gate.touch()
    assert worker.wait() == 0
    house.start_worker(concurrency=1)
    wait_for(lambda: len([line for line in house.effects.lines() if line.startswith("plain")]) >= 8, 30)
    assert {house.effects.count(f"plain {number}") for number in range(8)} == {1}


@on("valkey", "rabbitmq")
def test_a_plain_task_is_sent_at_once_whatever_becomes_of_its_transaction(house: House) -> None:
    house.start_worker(concurrency=1)
    with transaction.atomic():
        tasks.plain.delay("rolled back")
        wait_for(lambda: house.effects.lines() == ["rolled back"])
        transaction.set_rollback(True)


@on("valkey", "rabbitmq")
@pytest.mark.usefixtures("house")
def test_the_broker_has_a_message_when_its_sender_goes_on() -> None:
    publisher = publisher_for(current_app._get_current_object())
    publisher.publish([message(number) for number in range(20)])
    assert publisher.depth("default") == 20
    publisher.close()


@on(*LEDGERS)
def test_a_job_is_its_own_message(house: House) -> None:
    gate = house.gate("gate")
    house.start_worker(environment=IMPATIENT, concurrency=1)
    tasks.gated.delay("busy", str(gate))
    tasks.note.delay_many([{"effect": "waiting"}] * 30)
    tasks.note.apply_async(args=["later"], countdown=0.5)
    tasks.flaky.delay("again", failures=1)
    wait_for(lambda: house.effects.count("busy began"))
    always(lambda: not BrokerMessage.objects.filter(queue="default").exists(), 4)
    gate.touch()
    wait_for(lambda: not Job.objects.exclude(state="succeeded").exists(), 20)
    assert (house.effects.count("waiting"), house.effects.count("later"), house.effects.count("again")) == (30, 1, 2)


@on(*LEDGERS)
def test_a_plain_task_is_sent_when_its_transaction_commits(house: House) -> None:
    house.start_worker(concurrency=1)
    with transaction.atomic():
        tasks.plain.delay("rolled back")
        transaction.set_rollback(True)
    with transaction.atomic():
        tasks.plain.delay("committed")
        always(lambda: len(house.effects) == 0, 0.5)
    wait_for(lambda: house.effects.lines() == ["committed"])


def test_how_long_an_idle_worker_takes_to_begin(house: House) -> None:
    house.start_worker(pool="prefork", concurrency=2)
    wait_for(lambda: tasks.noop.delay().job.state == "succeeded" or Job.objects.filter(state="succeeded").count() > 20)
    Job.objects.all().delete()
    for _ in range(100):
        job = tasks.noop.delay()
        wait_for(lambda job=job: job.job.state == "succeeded")  # type: ignore[misc]
    rows = Job.objects.exclude(started_at=None).values_list("created_at", "started_at")
    waits = [(started_at - created_at).total_seconds() * 1000 for created_at, started_at in rows if started_at]
    p95 = statistics.quantiles(waits, n=20)[-1]
    print(f"{house.broker.name}: half begin within {statistics.median(waits):.1f} ms, 95 % within {p95:.1f} ms")
    assert statistics.median(waits) < 250


def test_flower_sees_and_steers_workers(house: House, tmp_path: Path) -> None:
    worker = house.start_worker(concurrency=1, options=["-E"])
    environment = {
        "DATABASE_URL": house.database.url,
        "BROKER_URL": house.broker.url,
        VARIABLE: str(house.effects.path),
    }
    with Flower(tmp_path, environment) as flower:
        name = f"{worker.name}@test"
        wait_for(lambda: name in flower.ask("workers?refresh=1"), 30)
        job = tasks.note.delay("seen")
        wait_for(lambda: flower.ask("tasks").get(job.id, {}).get("state") == "SUCCESS", 20)
        flower.tell("task/send-task/tests.tasks_app.tasks.note", {"args": ["sent by Flower"]})
        wait_for(lambda: house.effects.count("sent by Flower"), 20)
        flower.tell(f"worker/shutdown/{name}")
        assert worker.wait() == 0


def test_a_request_is_as_quick_whatever_the_broker_does(house: House) -> None:
    """Enqueueing waits for the database alone."""
    began = time.monotonic()
    for _ in range(50):
        tasks.noop.delay()
    assert time.monotonic() - began < 5


@on(*LEDGERS)
def test_what_a_busy_worker_has_fetched_goes_to_a_free_one_soon(house: House) -> None:
    gate = house.gate("gate")
    house.start_worker(concurrency=1, pool="prefork")
    tasks.gated.delay("busy", str(gate))
    wait_for(lambda: house.effects.count("busy began"))
    names = [f"behind {number}" for number in range(3)]
    tasks.note.delay_many([[name] for name in names])
    wait_for(lambda: Job.objects.filter(state="queued", dispatched_at__isnull=False).exists())
    house.start_worker(concurrency=2)
    # A lost message would be sent again after 30 seconds.
    wait_for(lambda: all(house.effects.count(name) == 1 for name in names), 20)
    gate.touch()
