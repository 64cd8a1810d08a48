"""A worker that lost a server: it goes on with what it can, tries for ever, and tells the state of each connection."""

from typing import Any

import pytest
from django.db import connection

from jobs.models import Worker
from tests.acceptance.engine import AWAY
from tests.brokers.conftest import IMPATIENT
from tests.brokers.system import System
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(120)

on_both = pytest.mark.parametrize("system", ["valkey", "rabbitmq"], indirect=True)


def told(name: str) -> dict[str, Any]:
    """Return what the worker says of a connection."""
    entry = Worker.objects.first()
    return dict(entry.connections.get(name, {})) if entry else {}


def is_told(name: str, state: str, **counts: int) -> None:
    """Wait until the worker says that a connection is in this state, and counts at least so much."""

    def it_is() -> bool:
        said = told(name)
        return said.get("state") == state and all(said[what] >= least for what, least in counts.items())

    wait_for(it_is, 40, what=f"{name} to be {state}", passing_over=AWAY)


@on_both
def test_a_broker_that_is_away_is_tried_again_for_ever_while_what_runs_goes_on(system: System) -> None:
    assert system.broker.server is not None
    gate = system.gate("gate")
    worker = system.start_worker(environment=IMPATIENT, concurrency=1)
    running = tasks.gated.delay("running", str(gate)).job
    wait_for(lambda: system.effects.count("running began"))
    is_told("broker", "connected")
    system.broker.server.stop()
    is_told("broker", "reconnecting", attempts=2)
    gate.touch()
    wait_for(lambda: system.effects.count("running ended"))
    wait_for(lambda: type(running).objects.get(id=running.id).state == "succeeded")
    system.broker.server.start()
    is_told("broker", "connected", attempts=0, reconnects=1)
    tasks.note.delay("after")
    wait_for(lambda: system.effects.count("after"), 40)
    assert "is out of reach" in worker.log_text()


@pytest.mark.parametrize("system", ["ledger-postgres"], indirect=True)
def test_without_redis_jobs_go_on(system: System, valkey: Valkey) -> None:
    system.start_worker(environment={**IMPATIENT, "REDIS_URL": valkey.url}, concurrency=1)
    is_told("redis", "connected")
    valkey.stop()
    is_told("redis", "reconnecting", attempts=2)
    tasks.note.delay("meanwhile")
    wait_for(lambda: system.effects.count("meanwhile"))
    valkey.start()
    is_told("redis", "connected", attempts=0, reconnects=1)
    assert told("broker")["state"] == "connected"


@pytest.mark.parametrize("system", ["valkey"], indirect=True)
def test_a_database_that_was_away_is_counted(system: System, request: pytest.FixtureRequest) -> None:
    postgres = request.getfixturevalue("postgres")
    system.start_worker(environment=IMPATIENT, concurrency=1)
    is_told("database", "connected", reconnects=0)
    postgres.restart()
    connection.close()
    is_told("database", "connected", reconnects=1)


@pytest.mark.parametrize("system", ["valkey"], indirect=True)
def test_a_worker_that_finds_no_broker_at_its_start_waits_for_it_and_may_be_stopped(system: System) -> None:
    assert system.broker.server is not None
    system.broker.server.stop()
    waiting = system.start_worker(name="waiting", environment=IMPATIENT, ready=False)
    stopped = system.start_worker(name="stopped", environment=IMPATIENT, ready=False)
    for worker in (waiting, stopped):
        wait_for(lambda worker=worker: "attempt 2 comes in" in worker.log_text(), 30)  # type: ignore[misc]
    assert stopped.stop(10) == 0
    system.broker.server.start()
    waiting.wait_until_ready()
