"""A worker listens again whatever was away, and to all queues that can be had."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from redis import Redis

from jobs.enqueue.dispatcher import flush
from jobs.models import Worker as WorkerRow
from jobs.reports import workers as reports
from tests.acceptance.engine import (
    AWAY,
    IMPATIENT,
    QUICK,
    Gate,
    ended,
    happened,
    on_postgres,
    on_sqlite,
    two_houses,
)
from tests.acceptance.worker import Worker
from tests.databases import Database
from tests.servers import Postgres, Valkey
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import always, wait_for

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("database")]

Start = Callable[..., Worker]


@pytest.fixture
def start(start_worker: Start) -> Iterator[Start]:
    """Start a worker that loses patience soon."""

    def start(pool: str = "threads", **options: Any) -> Worker:
        return start_worker(pool=pool, options=QUICK, environment=IMPATIENT, **options)

    yield start
    flush()


def entry() -> dict[str, Any]:
    """What the worker writes of its connections."""
    connections: dict[str, Any] = WorkerRow.objects.get().connections
    return connections


@on_postgres
def test_a_worker_listens_again_after_broker_and_database_were_away_together(
    start: Start, effects: Effects, valkey: Valkey, postgres: Postgres, database: Database
) -> None:
    worker = start()
    for number in range(3):
        connection.close()
        valkey.stop()
        postgres.stop()
        wait_for(lambda n=number: worker.log_text().count("takes no jobs meanwhile") > n, 20)  # type: ignore[misc]
        valkey.start()
        postgres.start()
        wait_for(lambda n=number: tasks.note.delay(f"after {n}"), 20, passing_over=AWAY)  # type: ignore[misc]
        happened(effects, f"after {number}", seconds=40)
    wait_for(lambda: entry()["consumer"]["state"] == "connected", 20, passing_over=AWAY)


@pytest.fixture
def replica(valkey: Valkey) -> Iterator[Redis]:
    """A client that makes the broker a replica, which refuses every write, and in the end a primary again."""
    yield valkey.client
    valkey.client.replicaof("NO", "ONE")


@two_houses
def test_a_broker_that_refuses_writes_is_tried_again_until_it_takes_them(
    start: Start, effects: Effects, replica: Redis, pool: str
) -> None:
    worker = start(pool)
    ended(tasks.note.delay("before").job)
    replica.replicaof("127.0.0.1", "1")
    tasks.note.delay("meanwhile")
    wait_for(lambda: "read only replica" in entry()["consumer"].get("reason", ""), 20)
    assert [reports.deaf(row) for row in WorkerRow.objects.all()] != [""]
    always(lambda: worker.exit_code is None, 3)
    replica.replicaof("NO", "ONE")
    happened(effects, "meanwhile", seconds=60)
    wait_for(lambda: entry()["consumer"]["state"] == "connected", 20)
    assert "Traceback" not in worker.log_text()
    assert worker.log_text().count("The broker gives no messages") <= 2
    assert "BLMPOP" not in worker.log_text()


@on_postgres
def test_a_worker_outlives_an_error_in_its_loop_and_ends_what_it_runs(
    start: Start, effects: Effects, gate: Gate
) -> None:
    worker = start("prefork")
    running = tasks.gated.delay("amid", str(gate)).job
    happened(effects, "amid began")
    current_app.control.broadcast("fail_a_step")
    wait_for(lambda: "A step of the worker failed (Odd: in the worker's loop)" in worker.log_text(), 20)
    gate.open()
    assert ended(running, tasks.note.delay("after").job, seconds=40) == ["succeeded", "succeeded"]
    assert worker.exit_code is None


@on_sqlite
def test_a_worker_that_starts_while_the_broker_refuses_writes_works_once_it_does_not(
    start: Start, effects: Effects, replica: Redis
) -> None:
    replica.replicaof("127.0.0.1", "1")
    worker = start(ready=False)
    tasks.note.delay("early")
    wait_for(lambda: reports.deaf(WorkerRow.objects.get()), 30, passing_over=(WorkerRow.DoesNotExist,))
    assert worker.exit_code is None
    replica.replicaof("NO", "ONE")
    happened(effects, "early", seconds=60)


@on_postgres
def test_a_queue_that_cannot_be_had_stops_no_other(start: Start, effects: Effects, valkey: Valkey) -> None:
    valkey.client.set("tests.other", "a key that is no list")
    worker = start(queues=["default", "tests.other"])
    refused = [tasks.elsewhere.delay(f"elsewhere {number}").job for number in range(3)]
    assert ended(tasks.note.delay("here").job) == ["succeeded"]
    # A due job and a bulk go by maintenance and by the dispatcher.
    later = tasks.note.apply_async(["later"], countdown=1).job
    both = [result.job for result in tasks.note.delay_many([["one"], ["two"]])]
    assert set(ended(later, *both)) == {"succeeded"}
    wait_for(lambda: "WRONGTYPE" in reports.refused_queues(reports.alive()).get("tests.other", ""), 20)
    assert worker.exit_code is None
    valkey.client.delete("tests.other")
    assert set(ended(*refused, seconds=60)) == {"succeeded"}
    wait_for(lambda: not reports.refused_queues(reports.alive()), 40)


@on_sqlite
def test_a_queue_that_cannot_be_had_any_more_stops_no_other(start: Start, effects: Effects, valkey: Valkey) -> None:
    start(queues=["default", "tests.other"])
    assert ended(tasks.elsewhere.delay("before").job) == ["succeeded"]
    valkey.client.set("tests.other", "a key that is no list")
    assert ended(tasks.note.delay("here").job, seconds=60) == ["succeeded"]


@on_sqlite
def test_a_worker_of_a_dead_letter_queue_ends_at_its_start_and_says_why(start: Start) -> None:
    worker = start(queues=["default", "default.dead"], ready=False)
    assert worker.wait(40) == 1
    assert "cannot consume queue 'default.dead'" in worker.log_text()
    assert "Traceback" not in worker.log_text()
