"""Whatever dies: on every broker each job runs, and none twice."""

import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from django.db import connection

from jobs.celery import SOCKET_TIMEOUT
from jobs.enqueue import dispatcher
from jobs.models import Job
from tests.acceptance.worker import Worker
from tests.brokers.conftest import IMPATIENT, some_systems
from tests.brokers.system import System
from tests.tasks_app import tasks
from tests.waiting import always, wait_for

pytestmark = pytest.mark.timeout(180)

with_a_server = pytest.mark.parametrize("system", ["valkey", "rabbitmq", "ledger-postgres"], indirect=True)


def all_succeeded() -> bool:
    """Whether no job is in any other state."""
    return not Job.objects.exclude(state="succeeded").exists()


def ended_once_each(system: System, names: list[str]) -> None:
    """Assert that each of these jobs had its effect, and had it once."""
    assert {name: count for name in names if (count := system.effects.count(f"{name} ended")) != 1} == {}


@some_systems
def test_what_a_killed_worker_had_fetched_runs_elsewhere(system: System, pool: str) -> None:
    gate = system.gate("gate")
    doomed = system.start_worker(environment=IMPATIENT, pool=pool, concurrency=2)
    names = [f"job {number}" for number in range(12)]
    tasks.gated.delay_many([{"effect": name, "gate": str(gate)} for name in names])
    wait_for(lambda: len(system.effects) == 2)
    doomed.kill()
    gate.touch()
    system.start_worker(environment=IMPATIENT, pool=pool, concurrency=2)
    wait_for(all_succeeded, 40)
    ended_once_each(system, names)
    began = [line for line in system.effects.lines() if line.endswith("began")]
    assert len(began) == len(names) + 2  # The two that were running when their worker was killed.


def busy_worker(system: System, pool: str) -> tuple[Worker, Path]:
    """Return a worker whose one place is taken by a job, and the file that lets the job end."""
    gate = system.gate("gate")
    worker = system.start_worker(pool=pool, concurrency=1)
    tasks.gated.delay("first", str(gate))
    wait_for(lambda: system.effects.count("first began"))
    return worker, gate


def run_elsewhere(system: System, names: Sequence[str], stopping: Worker, waiting: Worker, gate: Path) -> None:
    """Wait until another worker has run these, each once, while the one that stops still has its job; then end both."""
    wait_for(lambda: all(system.effects.count(name) == 1 for name in names), 12)
    assert stopping.exit_code is None, "They went to others before its running job ended."
    gate.touch()
    assert stopping.wait() == 0
    wait_for(all_succeeded)
    always(lambda: len(system.effects) == len(names) + 2, 0.5)
    assert waiting.stop() == 0


@some_systems
def test_what_a_stopping_worker_had_fetched_goes_back_at_once(system: System, pool: str) -> None:
    stopping, gate = busy_worker(system, pool)
    names = [f"job {number}" for number in range(4)]
    for name in names:
        tasks.note.delay(name)
    if system.broker.name != "rabbitmq":
        # With `ledger://` a worker fetches anew once half of its prefetch is free, and what waits for 2 s goes back.
        wait_for(lambda: Job.objects.filter(state="queued", dispatched_at__isnull=False).count() >= len(names) - 1)
    waiting = system.start_worker(pool=pool, concurrency=1)
    stopping.signal(signal.SIGTERM)
    run_elsewhere(system, names, stopping, waiting, gate)


@some_systems
def test_what_comes_when_a_worker_has_just_begun_to_stop_is_for_others(system: System, pool: str) -> None:
    stopping, gate = busy_worker(system, pool)
    stopping.signal(signal.SIGTERM)
    # It may have asked the broker for more a moment ago, and be given these.
    names = [f"job {number}" for number in range(4)]
    for name in names:
        tasks.note.delay(name)
    waiting = system.start_worker(pool=pool, concurrency=1)
    run_elsewhere(system, names, stopping, waiting, gate)


@with_a_server
def test_a_broker_that_restarts_amid_the_work_loses_and_repeats_nothing(system: System) -> None:
    assert system.broker.server is not None
    system.start_worker(environment=IMPATIENT, concurrency=2)
    names = [f"job {number}" for number in range(60)]
    tasks.lasting.delay_many([{"effect": name, "seconds": 0.05} for name in names])
    wait_for(lambda: len(system.effects) > 20)
    system.broker.server.restart()
    connection.close()
    wait_for(all_succeeded, 60)
    ended_once_each(system, names)
    # And the worker goes on as before.
    tasks.note.delay("after")
    wait_for(lambda: system.effects.count("after"), 40)


@with_a_server
def test_a_broker_that_restarts_leaves_an_idle_worker_at_work(system: System) -> None:
    assert system.broker.server is not None
    system.start_worker(environment=IMPATIENT, concurrency=1)
    system.broker.server.restart()
    connection.close()
    tasks.note.delay("after")
    wait_for(lambda: system.effects.count("after"), 40)


def test_a_wiped_broker_is_refilled(system: System) -> None:
    names = [f"job {number}" for number in range(20)]
    tasks.note.delay_many([{"effect": name} for name in names])
    dispatcher.flush()
    system.broker.wipe()
    system.start_worker(environment=IMPATIENT, concurrency=2)
    wait_for(all_succeeded, 40)
    assert sorted(system.effects.lines()) == sorted(names)


@pytest.mark.parametrize("system", ["valkey", "rabbitmq"], indirect=True)
def test_a_broker_that_is_down_keeps_nobody_waiting(system: System) -> None:
    assert system.broker.server is not None
    system.broker.server.stop()
    began = time.monotonic()
    tasks.note.delay("job")
    # Below every time-out of a connection.
    assert time.monotonic() - began < SOCKET_TIMEOUT - 1
    dispatcher.flush()
    system.broker.server.start()
    system.start_worker(environment=IMPATIENT)
    wait_for(lambda: system.effects.count("job"), 40)


def test_two_workers_of_one_name_both_work(system: System) -> None:
    gates = [system.gate(f"gate {number}") for number in range(2)]
    workers = []
    for gate in gates:
        workers.append(system.start_worker(name="twin", environment=IMPATIENT, concurrency=1))
        tasks.gated.delay(gate.name, str(gate))
        wait_for(lambda gate=gate: system.effects.count(f"{gate.name} began"))  # type: ignore[misc]
    # Longer than a lease: neither renews the other's, nor takes it.
    always(lambda: len(system.effects) == 2, float(IMPATIENT["JOBS_LEASE_SECONDS"]) + 1)
    for gate in gates:
        gate.touch()
    wait_for(all_succeeded, 20)
    ended_once_each(system, [gate.name for gate in gates])
    assert [worker.exit_code for worker in workers] == [None, None]


def test_a_killed_child_costs_its_own_job_one_attempt_and_no_other(system: System) -> None:
    gate = system.gate("gate")
    worker = system.start_worker(environment=IMPATIENT, pool="prefork", concurrency=2)
    names = [f"job {number}" for number in range(6)]
    tasks.gated.delay_many([{"effect": name, "gate": str(gate)} for name in names])
    wait_for(lambda: len(system.effects) == 2)
    worker.kill_child()
    wait_for(lambda: len(system.effects) >= 3, 20)
    gate.touch()
    wait_for(all_succeeded, 40)
    ended_once_each(system, names)
