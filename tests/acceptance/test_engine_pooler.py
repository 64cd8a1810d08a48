"""Through PgBouncer in transaction mode, one that does not know prepared statements (1.18), everything goes its way."""

import logging
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import TimeoutError as CeleryTimeout
from celery.result import AsyncResult
from django.db import connection

from jobs.enqueue.dispatcher import flush
from jobs.models import Job, Waiter
from tests.acceptance.engine import IMPATIENT, QUICK, Gate, ended, happened
from tests.acceptance.pgbouncer import PgBouncer
from tests.acceptance.worker import Worker
from tests.databases import Database, default_database_at
from tests.environment import CI
from tests.servers import Postgres, Valkey
from tests.tasks_app import tasks
from tests.tasks_app.canvas import slow_number
from tests.tasks_app.effects import Effects
from tests.waiting import wait_for

pytestmark = [pytest.mark.timeout(180), pytest.mark.parametrize("database", ["postgres"], indirect=True)]


@pytest.fixture
def pooled(database: Database, postgres: Postgres) -> Iterator[str]:
    """The test's database, through the pooler."""
    if not PgBouncer.is_installed():
        reason = "PgBouncer is not installed here (Debian: apt install pgbouncer)."
        pytest.fail(reason) if CI else pytest.skip(reason)
    # Where a user without rights may enter.
    with tempfile.TemporaryDirectory() as directory, PgBouncer(Path(directory), postgres) as pooler:
        yield pooler.url(database.name)


@pytest.mark.parametrize("broker", ["valkey", "ledger"])
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_jobs_are_enqueued_claimed_run_and_recorded(
    pooled: str, start_worker: Callable[..., Worker], effects: Effects, valkey: Valkey, pool: str, broker: str
) -> None:
    environment = {**IMPATIENT, "DATABASE_URL": pooled, "DATABASE_PREPARED_STATEMENTS": "no"}
    if broker == "ledger":
        environment["BROKER_URL"] = "ledger://"
    worker = start_worker(pool=pool, options=QUICK, environment=environment)
    spawning = [tasks.spawning.delay(f"spawned {number}", fail=False).job for number in range(20)]
    failing = tasks.flaky.delay("flaky", 1).job
    assert set(ended(*spawning, failing, seconds=60)) == {"succeeded"}
    wait_for(lambda: Job.objects.filter(task=tasks.note.name, state="succeeded").count() == 20, 60)
    assert "prepared statement" not in worker.log_text()
    flush()


def test_a_web_process_enqueues_many_jobs_one_by_one(pooled: str, valkey: Valkey) -> None:
    with default_database_at(pooled, prepared=False):
        for number in range(20):
            tasks.note.delay(f"{number}")
            tasks.noop.apply_async(unique=f"{number % 2}")
        assert Job.objects.filter(task=tasks.note.name).count() == 20
        flush()


def test_who_waits_for_a_result_looks_for_it_since_nobody_tells_through_a_pooler(
    pooled: str,
    start_worker: Callable[..., Worker],
    effects: Effects,
    gate: Gate,
    caplog: pytest.LogCaptureFixture,
    valkey: Valkey,
) -> None:
    start_worker(pool="threads", options=QUICK)

    def get(job_id: str) -> Any:
        try:
            return AsyncResult(job_id).get(timeout=60)
        finally:
            connection.close()

    with default_database_at(pooled, prepared=False), caplog.at_level(logging.WARNING), ThreadPoolExecutor(2) as asking:
        slow = slow_number.apply_async((7, "slow", str(gate)), ignore_result=False)
        happened(effects, "slow")
        found = [asking.submit(get, slow.id) for _ in range(2)]
        # It finds out about the pooler, and leaves its connection.
        wait_for(lambda: any(thread.name == "jobs-ends" for thread in threading.enumerate()), 20)
        gate.open()
        assert [one.result(60) for one in found] == [7, 7]
        assert not Waiter.objects.exists()
        flush()
    assert "jobs.compose.ends" not in [record.name for record in caplog.records]


def test_the_looks_of_who_waits_through_a_pooler_become_rare(pooled: str, valkey: Valkey) -> None:
    asked: list[str] = []

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        asked.append(sql)
        return execute(sql, *rest)

    with default_database_at(pooled, prepared=False):
        waiting = tasks.double.apply_async((1,), countdown=600)
        with connection.execute_wrapper(count), pytest.raises(CeleryTimeout, match="has not ended in 2 s"):
            waiting.get(timeout=2)
        assert not Waiter.objects.exists()
    # A look each 5 ms would be 400, and each has a statement or more.
    assert len(asked) < 200
