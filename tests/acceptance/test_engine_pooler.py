"""Through PgBouncer in transaction mode, one that does not know prepared statements (1.18), everything goes its way."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.enqueue.dispatcher import flush
from jobs.models import Job
from tests.acceptance.engine import IMPATIENT, QUICK, ended
from tests.acceptance.pgbouncer import PgBouncer
from tests.acceptance.worker import Worker
from tests.databases import Database, default_database_at
from tests.environment import CI
from tests.servers import Postgres, Valkey
from tests.tasks_app import tasks
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
