"""What differs from broker to broker. `docs/brokers.md` has a table of it; each of its cells names a test."""

import signal
import statistics
import time
from pathlib import Path

import pytest
from celery import current_app
from django.db import transaction

from jobs.enqueue import dispatcher
from jobs.enqueue.publishers import publisher_for
from jobs.models import BrokerMessage, Job
from tests.brokers.conftest import IMPATIENT
from tests.brokers.flower import Flower
from tests.brokers.messages import message
from tests.brokers.system import System
from tests.tasks_app import tasks
from tests.tasks_app.effects import VARIABLE
from tests.waiting import always, wait_for

pytestmark = pytest.mark.timeout(180)


def on(*brokers: str) -> pytest.MarkDecorator:
    """Run a test on these brokers only."""
    return pytest.mark.parametrize("system", brokers, indirect=True)


LEDGERS = ("ledger-postgres", "ledger-sqlite")


def test_jobs_of_one_priority_begin_in_the_order_of_their_calls(system: System) -> None:
    names = [str(number) for number in range(40)]
    tasks.note.delay_many([{"effect": name} for name in names])
    dispatcher.flush()
    system.start_worker(pool="solo", concurrency=1)
    wait_for(lambda: len(system.effects) == len(names), 20)
    assert system.effects.lines() == names


@on("valkey", *LEDGERS)
def test_each_priority_goes_before_the_lower_ones(system: System) -> None:
    priorities = [5, 0, 9, 3, 7, 1, 8, 2, 6, 4] * 3
    for priority in priorities:
        tasks.note.apply_async(args=[str(priority)], priority=priority)
    dispatcher.flush()
    system.start_worker(pool="solo", concurrency=1)
    wait_for(lambda: len(system.effects) == len(priorities), 20)
    assert system.effects.lines() == sorted(system.effects.lines(), reverse=True)


@on("rabbitmq")
def test_what_is_urgent_shares_the_workers_with_the_rest(system: System) -> None:
    tasks.note.delay_many([{"effect": "ordinary"} for _ in range(150)])
    for number in range(50):
        tasks.note.apply_async(args=["urgent"], priority=6 + number % 4)
    dispatcher.flush()
    system.start_worker(pool="solo", concurrency=1)
    wait_for(lambda: len(system.effects) == 200, 30)
    # Sent last, they would be the last 50 without a lane. How many ordinary ones a worker has claimed by then differs.
    assert system.effects.lines()[:130].count("urgent") >= 25


@on(*LEDGERS, "rabbitmq")
def test_a_plain_task_that_a_killed_worker_had_fetched_runs(system: System) -> None:
    _fetch_a_plain_task_and_die(system)
    system.start_worker(environment=IMPATIENT, concurrency=1)
    wait_for(lambda: system.effects.count("plain"), 30)


@on("valkey")
def test_a_plain_task_that_a_killed_worker_had_fetched_is_lost(system: System) -> None:
    _fetch_a_plain_task_and_die(system)
    system.start_worker(environment=IMPATIENT, concurrency=1)
    always(lambda: not system.effects.count("plain"), 4)


def _fetch_a_plain_task_and_die(system: System) -> None:
    """Let a worker fetch a plain task, busy with another one, and kill it."""
    worker = system.start_worker(environment=IMPATIENT, concurrency=1)
    tasks.gated.delay("busy", str(system.gate("gate")))
    wait_for(lambda: system.effects.count("busy began"))
    tasks.plain.delay("plain")
    inspect = current_app.control.inspect(destination=[f"{worker.name}@test"], timeout=10)
    wait_for(lambda: any(task["name"].endswith(".plain") for task in inspect.reserved()[f"{worker.name}@test"]), 20)
    worker.kill()


def test_a_plain_task_that_a_stopping_worker_had_fetched_runs(system: System) -> None:
    worker = system.start_worker(concurrency=1)
    gate = system.gate("gate")
    tasks.gated.delay("busy", str(gate))
    wait_for(lambda: system.effects.count("busy began"))
    for number in range(8):
        tasks.plain.delay(f"plain {number}")
    worker.signal(signal.SIGTERM)
    gate.touch()
    assert worker.wait() == 0
    system.start_worker(concurrency=1)
    wait_for(lambda: len([line for line in system.effects.lines() if line.startswith("plain")]) >= 8, 30)
    assert {system.effects.count(f"plain {number}") for number in range(8)} == {1}


@on("valkey", "rabbitmq")
def test_a_plain_task_is_sent_at_once_whatever_becomes_of_its_transaction(system: System) -> None:
    system.start_worker(concurrency=1)
    with transaction.atomic():
        tasks.plain.delay("rolled back")
        wait_for(lambda: system.effects.lines() == ["rolled back"])
        transaction.set_rollback(True)


@on("valkey", "rabbitmq")
@pytest.mark.usefixtures("system")
def test_the_broker_has_a_message_when_its_sender_goes_on() -> None:
    publisher = publisher_for(current_app._get_current_object())
    publisher.publish([message(number) for number in range(20)])
    assert publisher.depth("default") == 20
    publisher.close()


@on(*LEDGERS)
def test_a_job_is_its_own_message(system: System) -> None:
    gate = system.gate("gate")
    system.start_worker(environment=IMPATIENT, concurrency=1)
    tasks.gated.delay("busy", str(gate))
    tasks.note.delay_many([{"effect": "waiting"}] * 30)
    tasks.note.apply_async(args=["later"], countdown=0.5)
    tasks.flaky.delay("again", failures=1)
    wait_for(lambda: system.effects.count("busy began"))
    always(lambda: not BrokerMessage.objects.filter(queue="default").exists(), 4)
    gate.touch()
    wait_for(lambda: not Job.objects.exclude(state="succeeded").exists(), 20)
    assert (system.effects.count("waiting"), system.effects.count("later"), system.effects.count("again")) == (30, 1, 2)


@on(*LEDGERS)
def test_a_plain_task_is_sent_when_its_transaction_commits(system: System) -> None:
    system.start_worker(concurrency=1)
    with transaction.atomic():
        tasks.plain.delay("rolled back")
        transaction.set_rollback(True)
    with transaction.atomic():
        tasks.plain.delay("committed")
        always(lambda: len(system.effects) == 0, 0.5)
    wait_for(lambda: system.effects.lines() == ["committed"])


def test_how_long_an_idle_worker_takes_to_begin(system: System) -> None:
    system.start_worker(pool="prefork", concurrency=2)
    wait_for(lambda: tasks.noop.delay().job.state == "succeeded" or Job.objects.filter(state="succeeded").count() > 20)
    Job.objects.all().delete()
    for _ in range(40):
        job = tasks.noop.delay()
        wait_for(lambda job=job: job.job.state == "succeeded")  # type: ignore[misc]
    rows = Job.objects.exclude(started_at=None).values_list("created_at", "started_at")
    waits = [(started_at - created_at).total_seconds() * 1000 for created_at, started_at in rows if started_at]
    p95 = statistics.quantiles(waits, n=20)[-1]
    print(f"{system.broker.name}: half begin within {statistics.median(waits):.1f} ms, 95 % within {p95:.1f} ms")
    assert statistics.median(waits) < 250


def test_flower_sees_and_steers_workers(system: System, tmp_path: Path) -> None:
    worker = system.start_worker(concurrency=1, options=["-E"])
    environment = {
        "DATABASE_URL": system.database.url,
        "BROKER_URL": system.broker.url,
        VARIABLE: str(system.effects.path),
    }
    with Flower(tmp_path, environment) as flower:
        name = f"{worker.name}@test"
        wait_for(lambda: name in flower.ask("workers?refresh=1"), 30)
        job = tasks.note.delay("seen")
        wait_for(lambda: flower.ask("tasks").get(job.id, {}).get("state") == "SUCCESS", 20)
        flower.tell("task/send-task/tests.tasks_app.tasks.note", {"args": ["sent by Flower"]})
        wait_for(lambda: system.effects.count("sent by Flower"), 20)
        flower.tell(f"worker/shutdown/{name}")
        assert worker.wait() == 0


def test_a_request_is_as_quick_whatever_the_broker_does(system: System) -> None:
    """Enqueueing waits for the database alone."""
    began = time.monotonic()
    for _ in range(50):
        tasks.noop.delay()
    assert time.monotonic() - began < 5


@on(*LEDGERS)
def test_what_a_busy_worker_has_fetched_goes_to_a_free_one_soon(system: System) -> None:
    gate = system.gate("gate")
    system.start_worker(concurrency=1, pool="prefork")
    tasks.gated.delay("busy", str(gate))
    wait_for(lambda: system.effects.count("busy began"))
    names = [f"behind {number}" for number in range(3)]
    tasks.note.delay_many([[name] for name in names])
    wait_for(lambda: Job.objects.filter(state="queued", dispatched_at__isnull=False).exists())
    system.start_worker(concurrency=2)
    # A lost message would be sent again after 30 seconds.
    wait_for(lambda: all(system.effects.count(name) == 1 for name in names), 20)
    gate.touch()
