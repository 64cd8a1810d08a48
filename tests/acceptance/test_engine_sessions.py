"""Real workers whose tasks, or others, misuse the database: jobs run once, and each in a clean session."""

import signal
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.db import connection

from jobs.enqueue.dispatcher import flush
from jobs.models import Job
from tests.acceptance.engine import AWAY, IMPATIENT, QUICK, Gate, are_gone, ended, happened, once_each
from tests.acceptance.worker import Worker
from tests.databases import Database
from tests.servers import Postgres
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import always, wait_for

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("database")]

Start = Callable[..., Worker]
LEASE = float(IMPATIENT["JOBS_LEASE_SECONDS"])
on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)
every_pool = pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])


@pytest.fixture
def start(start_worker: Start) -> Iterator[Start]:
    """Start a worker that loses patience soon."""

    def start(pool: str, **options: object) -> Worker:
        return start_worker(pool=pool, options=QUICK, environment=IMPATIENT, **options)

    yield start
    flush()


@pytest.mark.parametrize(
    "database, pool", [("postgres", "prefork"), ("postgres", "threads"), ("sqlite", "prefork")], indirect=["database"]
)
def test_a_task_that_leaves_its_transaction_open_and_fails_stops_nobody(
    start: Start, effects: Effects, pool: str
) -> None:
    start(pool, concurrency=1)
    write = "INSERT INTO jobs_queue (name, paused_by, paused_at) VALUES ('left', '', '2026-01-01 00:00:00')"
    job = tasks.querying.delay("open", [write], leave_open=True).job
    assert ended(job) == ["dead"]
    # Maintenance goes on: what is scheduled comes due, and what fails is tried again.
    later, failing = tasks.note.apply_async(["later"], countdown=1).job, tasks.flaky.delay("flaky", 1).job
    assert set(ended(later, failing)) == {"succeeded"}
    after = tasks.querying.delay("left", ["SELECT COUNT(*) FROM jobs_queue WHERE name = 'left'"]).job
    assert ended(after) == ["succeeded"]
    assert effects.count("left 0") == 1


@on_postgres
@every_pool
def test_the_next_job_finds_a_clean_session(start: Start, effects: Effects, pool: str) -> None:
    start(pool, concurrency=1)
    dirty = ["SET ROLE pg_monitor", "SET statement_timeout = 1", "CREATE TEMP TABLE jobs_job (id int)", "BEGIN"]
    table = "COALESCE(to_regclass('pg_temp.jobs_job')::text, 'none')"
    asked = f"SELECT concat_ws(' ', current_user, current_setting('statement_timeout'), {table})"
    for number, statement in enumerate(dirty):
        ended(tasks.querying.delay("dirty", [statement]).job)
        assert ended(tasks.querying.delay(f"clean{number}", [asked]).job) == ["succeeded"]
    once_each(effects, [f"clean{number} postgres 0 none" for number in range(len(dirty))])


@on_postgres
@every_pool
def test_after_a_restart_of_the_database_the_first_job_of_each_process_runs(
    start: Start, effects: Effects, postgres: Postgres, pool: str
) -> None:
    start(pool, concurrency=1)
    assert ended(tasks.querying.delay("before", ["SELECT 1"]).job) == ["succeeded"]
    connection.close()
    postgres.restart()
    wait_for(lambda: Job.objects.count() == 1, 20, passing_over=AWAY)
    assert ended(tasks.querying.delay("after", ["SELECT 1"]).job) == ["succeeded"]
    once_each(effects, ["before 1", "after 1"])


@on_postgres
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_lock_on_one_running_jobs_row_makes_no_job_run_twice(
    start: Start, effects: Effects, gate: Gate, database: Database, pool: str
) -> None:
    start(pool, name="one", concurrency=3)
    start(pool, name="two", concurrency=1, queues=["tests.other"])
    jobs = [tasks.gated.delay(f"running {number}", str(gate)).job for number in range(2)]
    telling = tasks.telling_in_a_transaction.delay(str(gate)).job
    for effect in ("running 0 began", "running 1 began", "within"):
        happened(effects, effect)
    with psycopg.connect(database.url) as other:
        other.execute("SELECT 1 FROM jobs_job WHERE id = %s FOR UPDATE", [jobs[0].pk])
        always(lambda: len(effects) == 3, LEASE + 3)
        telling.refresh_from_db()
        assert telling.progress == {"done": 1, "total": 2, "message": "within"}
        gate.open()
        assert set(ended(jobs[1], telling)) == {"succeeded"}
        always(lambda: Job.objects.get(pk=jobs[0].pk).state == "running", 1)
    assert ended(jobs[0]) == ["succeeded"]
    assert set(Job.objects.values_list("attempt", "worker_losses")) == {(1, 0)}
    once_each(effects, [f"running {number} {what}" for number in range(2) for what in ("began", "ended")])


@on_postgres
def test_a_database_that_refuses_writes_takes_no_job_from_a_living_worker(
    start: Start, effects: Effects, gate: Gate, postgres: Postgres, database: Database
) -> None:
    for name in ("one", "two"):
        start("prefork", name=name, concurrency=1)
    jobs = [tasks.gated.delay(f"running {number}", str(gate)).job for number in range(2)]
    for number in range(2):
        happened(effects, f"running {number} began")
    postgres.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    postgres.disconnect_all(database.name)
    always(lambda: len(effects) == 2, LEASE * 2)
    postgres.execute(f"ALTER DATABASE {database.name} RESET default_transaction_read_only")
    postgres.disconnect_all(database.name)
    connection.close()
    always(lambda: len(effects) == 2, LEASE + 2)
    gate.open()
    assert set(ended(*jobs, seconds=40)) == {"succeeded"}
    assert set(Job.objects.values_list("attempt", "worker_losses")) == {(1, 0)}


@on_postgres
def test_a_process_whose_parent_is_frozen_ends_with_its_lease(start: Start, effects: Effects, gate: Gate) -> None:
    frozen = start("prefork", name="frozen", concurrency=1)
    job = tasks.gated.delay("running", str(gate)).job
    happened(effects, "running began")
    [child] = frozen.children()
    start("prefork", name="other", concurrency=1)
    frozen.signal(signal.SIGSTOP)
    wait_for(lambda: are_gone([child]), LEASE + 20)
    happened(effects, "running began", times=2, seconds=30)
    gate.open()
    frozen.signal(signal.SIGCONT)
    assert ended(job) == ["succeeded"]
    assert effects.count("running ended") == 1
