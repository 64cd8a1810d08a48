"""A worker that goes on through faults of tasks, pool processes and the broker: one for all these tests.

Each test finds neither jobs nor effects of another one, nor of an earlier try of itself, and leaves the worker as it
found it.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import pytest_django
from celery import Celery, chain, current_app, group
from django.db import connection, transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from jobs.celery import SOCKET_TIMEOUT
from jobs.core.states import FINAL, State
from jobs.enqueue.dispatcher import flush
from jobs.models import DeadLetter, Job
from jobs.operations.actions import cancel_jobs, retry_jobs
from jobs.operations.filters import JobFilter
from tests import forks
from tests.acceptance.engine import IMPATIENT, QUICK, Gate, ended, happened, once_each
from tests.acceptance.worker import SharedWorker, Worker
from tests.conftest import REPORTS
from tests.databases import Database, default_database_at
from tests.environment import environment
from tests.jobs.delivery import message_of
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.tasks_app.effects import VARIABLE, Effects
from tests.waiting import always, wait_for

pytestmark = pytest.mark.timeout(120)


@dataclass
class Shift:
    """A worker at work, and what it works with."""

    pool: str
    concurrency: int
    database: Database
    effects: Effects
    variables: dict[str, str]
    shared: SharedWorker

    @property
    def worker(self) -> Worker:
        """The worker itself."""
        return self.shared.worker


#: As `some_houses` has it.
PREFORK = ["postgres-prefork", "sqlite-prefork"]
THREADS = ["postgres-threads"]
on_prefork = pytest.mark.parametrize("shift", PREFORK, indirect=True, scope="module")
on_threads = pytest.mark.parametrize("shift", THREADS, indirect=True, scope="module")


@pytest.fixture(scope="module", params=[*PREFORK, *THREADS])
def shift(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    """One worker for all tests of the module: with each pool on PostgreSQL, and with one on SQLite."""
    vendor, _, pool = request.param.partition("-")
    directory = tmp_path_factory.mktemp("shift")
    database = Database.copied(vendor, template=request.getfixturevalue(f"{vendor}_template"), directory=directory)
    broker = environment.valkey.start()
    broker.flush()
    effects = Effects(directory / "effects")
    variables = {
        **IMPATIENT,
        "DATABASE_URL": database.url,
        "BROKER_URL": broker.url,
        "REDIS_URL": broker.url,
        VARIABLE: str(effects.path),
    }
    # A thread that hangs must not be so many that the worker renews itself.
    concurrency = 2 if pool == "prefork" else 4
    worker = Worker(
        "steady",
        environment=variables,
        log=directory / "worker.log",
        pool=pool,
        concurrency=concurrency,
        options=QUICK,
    )
    worker.start()
    worker.wait_until_ready()
    yield Shift(pool, concurrency, database, effects, variables, SharedWorker(worker))
    worker.clean_up()
    database.drop()


@pytest.fixture(autouse=True)
def at_work(
    shift: Shift, request: pytest.FixtureRequest, django_db_blocker: pytest_django.DjangoDbBlocker
) -> Iterator[None]:
    """Lead this test to the worker's database, and prove that the worker outlives it."""
    request.node.stash.setdefault(REPORTS, []).append(shift.worker.report)
    # A test that failed may have left either away.
    environment.postgres.start()
    environment.valkey.start()
    flush()
    with (
        django_db_blocker.unblock(),
        default_database_at(shift.database.url),
        shift.shared.outliving_a_test(),
    ):
        clear(shift)
        yield
        environment.valkey.start()
        flush()


def clear(shift: Shift) -> None:
    """End what a test that failed has left, and forget all jobs and effects, which are told apart by their names."""
    cancel_jobs(JobFilter(), actor="tests")
    wait_for(lambda: not Job.objects.exclude(state__in=FINAL).exists(), 30, what="earlier jobs to end")
    Job.objects.all().delete()
    shift.effects.clear()


@pytest.fixture
def effects(shift: Shift) -> Effects:
    """What the worker did."""
    return shift.effects


@pytest.fixture
def broker(shift: Shift) -> Valkey:
    """The worker's broker."""
    return environment.valkey


# --- Enqueueing ---------------------------------------------------------------------------------------


def test_a_rollback_runs_nothing(effects: Effects) -> None:
    with transaction.atomic():
        tasks.note.delay("rolled back")
        transaction.set_rollback(True)
    assert ended(tasks.note.delay("witness").job) == ["succeeded"]
    assert effects.count("rolled back") == 0


def test_many_jobs_of_a_transaction_run_once_each(effects: Effects) -> None:
    names = [f"of many {number}" for number in range(100)]
    with transaction.atomic():
        results = tasks.note.delay_many([name] for name in names)
    assert set(ended(*(result.job for result in results))) == {"succeeded"}
    once_each(effects, names)


def test_a_process_that_ends_right_after_its_commit_has_sent_its_jobs(shift: Shift, effects: Effects) -> None:
    code = "from tests.tasks_app.tasks import note; note.delay('last words')"
    ran = forks.run("manage.py", "shell", "-v0", "-c", code, environment={**os.environ, **shift.variables})
    assert ran.returncode == 0, ran.stderr
    happened(effects, "last words")


def test_a_job_for_later_runs_then_and_not_before(effects: Effects) -> None:
    job = tasks.note.apply_async(["later"], countdown=2).job
    assert ended(job) == ["succeeded"]
    job.refresh_from_db()
    assert job.started_at is not None
    assert job.started_at >= job.run_at
    assert effects.count("later") == 1


def test_a_chain_a_group_and_a_link_run_once_each(effects: Effects) -> None:
    chain(tasks.step.s(None, "c1"), tasks.step.s("c2"), group(tasks.step.s("c3"), tasks.step.s("c4")))()
    tasks.step.apply_async((None, "l1"), link=tasks.step.s("l2"))
    names = ["start>c1", "c1>c2", "c2>c3", "c2>c4", "start>l1", "l1>l2"]
    wait_for(lambda: all(name in effects.lines() for name in names), 30)
    wait_for(lambda: not Job.objects.exclude(state="succeeded").filter(task=tasks.step.name).exists())
    once_each(effects, names)


def test_a_plain_task_of_celery_runs_beside_jobs(effects: Effects) -> None:
    before = Job.objects.count()
    tasks.plain.delay("plain")
    happened(effects, "plain")
    assert Job.objects.count() == before


def test_messages_of_a_foreign_producer_become_jobs(broker: Valkey, effects: Effects) -> None:
    foreign = Celery(broker=broker.url, set_as_current=False)
    foreign.conf.task_default_queue = "default"
    name = "tests.tasks_app.tasks.note"
    at_once = foreign.send_task(name, ["foreign"])
    for _ in range(2):
        foreign.send_task(name, ["foreign by name"], task_id="order-17")
    eta = datetime.now(UTC) + timedelta(seconds=2)
    later = foreign.send_task(name, kwargs={"effect": "foreign later"}, eta=eta)
    late = foreign.send_task(name, ["foreign too late"], expires=datetime.now(UTC) - timedelta(seconds=1))
    foreign.close()
    for effect in ("foreign", "foreign by name", "foreign later"):
        happened(effects, effect)
    jobs = [Job.objects.get(id=result.id) for result in (at_once, later, late)]
    assert ended(*jobs) == ["succeeded", "succeeded", "dead"]
    started = Job.objects.get(id=later.id).started_at
    assert started is not None
    assert started >= eta
    assert effects.count("foreign too late") == 0
    once_each(effects, ["foreign", "foreign by name", "foreign later"])


# --- Messages -----------------------------------------------------------------------------------------


def test_a_message_delivered_three_times_runs_once(broker: Valkey, effects: Effects, gate: Gate) -> None:
    job = tasks.gated.delay("thrice", str(gate)).job
    happened(effects, "thrice began")
    job.refresh_from_db()
    message = message_of(job)
    plain = Celery(broker=broker.url, set_as_current=False)
    with plain.connection_for_write() as wire, wire.Producer() as producer:
        for _ in range(2):
            producer.publish(
                message.body, routing_key="default", headers=message.headers,
                content_type="application/json", content_encoding="utf-8",
            )  # fmt: skip
    wait_for(lambda: broker.client.llen("default") == 0)
    plain.close()
    gate.open()
    assert ended(job) == ["succeeded"]
    assert ended(tasks.note.delay("after thrice").job) == ["succeeded"]
    once_each(effects, ["thrice began", "thrice ended"])
    assert Job.objects.get(id=job.id).attempt == 1


def test_a_wiped_broker_loses_no_job(shift: Shift, broker: Valkey, effects: Effects, gate: Gate) -> None:
    busy = [tasks.gated.delay(f"busy {number}", str(gate)).job for number in range(shift.concurrency)]
    for number in range(shift.concurrency):
        happened(effects, f"busy {number} began")
    names = [f"wiped {number}" for number in range(30)]
    results = tasks.note.delay_many([name] for name in names)
    wait_for(lambda: not Job.objects.filter(state=State.QUEUED, dispatched_at=None).exists())
    broker.flush()
    gate.open()
    assert set(ended(*busy, *(result.job for result in results))) == {"succeeded"}
    once_each(effects, [*names, *(f"busy {number} ended" for number in range(shift.concurrency))])


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_a_broker_that_is_away_at_the_commit_costs_nothing_but_time(
    broker: Valkey, effects: Effects, fault: str
) -> None:
    ended(tasks.note.delay(f"before {fault}").job)
    getattr(broker, fault)()
    begin = time.monotonic()
    with transaction.atomic():
        job = tasks.note.delay(f"during {fault}").job
    # Below every time-out of a connection.
    assert time.monotonic() - begin < SOCKET_TIMEOUT - 1
    always(lambda: effects.count(f"during {fault}") == 0, 1)
    broker.start()
    assert ended(job, seconds=60) == ["succeeded"]
    once_each(effects, [f"before {fault}", f"during {fault}"])


# --- Tasks that fail ----------------------------------------------------------------------------------


def test_a_failing_job_is_tried_again_until_it_succeeds(effects: Effects) -> None:
    job = tasks.flaky.delay("flaky", 2).job
    assert ended(job) == ["succeeded"]
    assert (effects.count("flaky"), job.attempts.count()) == (3, 2)


@on_prefork
def test_a_hard_time_limit_ends_the_process_and_the_attempt(effects: Effects, gate: Gate) -> None:
    job = tasks.overlong.delay("overlong", str(gate)).job
    assert ended(job) == ["dead"]
    gate.open()
    assert [attempt.error_type for attempt in job.attempts.all()] == ["TimeLimitExceeded"] * 2
    assert [attempt.outcome for attempt in job.attempts.all()] == ["retrying", "dead"]
    assert ended(tasks.note.delay("after overlong").job) == ["succeeded"]
    assert (effects.count("overlong began"), effects.count("overlong ended")) == (2, 0)


@on_threads
def test_a_hard_time_limit_takes_the_job_from_its_thread_and_refuses_its_late_result(
    effects: Effects, gate: Gate
) -> None:
    job = tasks.overlong.delay("overlong", str(gate)).job
    wait_for(job.attempts.filter(error_type="TimeLimitExceeded", outcome="retrying").exists)
    # With the gate open the second attempt is in time.
    gate.open()
    assert ended(job) == ["succeeded"]
    wait_for(job.attempts.filter(outcome="refused").exists)
    assert Job.objects.get(id=job.id).state == State.SUCCEEDED


def test_what_runs_at_its_deadline_is_ended_and_not_tried_again(effects: Effects, gate: Gate) -> None:
    job = tasks.gated.apply_async(("in time", str(gate)), deadline=4).job
    happened(effects, "in time began")
    assert ended(job) == ["dead"]
    gate.open()
    assert ended(tasks.note.delay("after the deadline").job) == ["succeeded"]
    assert effects.count("in time began") == 1
    row = Job.objects.get(id=job.id)
    assert (row.attempt, row.worker_losses, row.attempts.earliest("id").error_type) == (1, 0, "DeadlinePassed")
    wait_for(lambda: DeadLetter.objects.filter(job=row, reason="deadline").exists(), what="its dead letter")


@on_prefork
def test_a_soft_time_limit_warns_the_task(effects: Effects, gate: Gate) -> None:
    job = tasks.warned.delay("warned", str(gate)).job
    assert ended(job) == ["dead"]
    assert [attempt.error_type for attempt in job.attempts.all()] == ["SoftTimeLimitExceeded"] * 2
    assert (effects.count("warned began"), effects.count("warned warned"), effects.count("warned ended")) == (2, 2, 0)


@on_prefork
def test_a_killed_pool_process_costs_an_attempt_and_no_time_out(shift: Shift, effects: Effects, gate: Gate) -> None:
    job = tasks.gated.delay("killed child", str(gate)).job
    happened(effects, "killed child began")
    for pid in shift.worker.children():
        shift.worker.kill_child(pid)
    happened(effects, "killed child began", 2)
    gate.open()
    assert ended(job) == ["succeeded"]
    attempt = job.attempts.get()
    assert (attempt.error_type, attempt.outcome) == ("WorkerLost", "retrying")
    # Its parent noticed: the lease did not have to run out.
    assert "lease ran out" not in attempt.error
    once_each(effects, ["killed child ended"])


@on_prefork
def test_a_job_that_always_kills_its_process_ends_as_poison_while_others_go_on(effects: Effects) -> None:
    job = tasks.poison.delay("poison").job
    names = [f"beside poison {number}" for number in range(40)]
    others = tasks.note.delay_many([name] for name in names)
    assert ended(job) == ["dead"]
    assert set(ended(*(other.job for other in others))) == {"succeeded"}
    job.refresh_from_db()
    assert (effects.count("poison"), job.attempt, job.worker_losses) == (3, 3, 3)
    assert [attempt.error_type for attempt in job.attempts.all()] == ["WorkerLost"] * 3
    once_each(effects, names)


def test_a_task_that_calls_exit_fails_and_takes_nothing_with_it(effects: Effects) -> None:
    job = tasks.leaving.delay("leaving").job
    assert ended(job) == ["dead"]
    assert ended(*(tasks.note.delay(f"after leaving {n}").job for n in range(4))) == ["succeeded"] * 4
    assert effects.count("leaving") == 1


def test_a_task_without_memory_fails_and_takes_nothing_with_it(effects: Effects) -> None:
    job = tasks.out_of_memory.delay("no memory").job
    assert ended(job) == ["dead"]
    assert job.attempts.get().error_type == "MemoryError"
    assert ended(*(tasks.note.delay(f"after no memory {n}").job for n in range(4))) == ["succeeded"] * 4
    assert effects.count("no memory") == 1


@on_prefork
def test_a_pool_process_that_runs_out_of_memory_costs_its_own_job_only(effects: Effects) -> None:
    job = tasks.hungry.delay("hungry").job
    assert ended(job) == ["dead"]
    assert job.attempts.get().error_type == "MemoryError"
    assert ended(*(tasks.note.delay(f"after hungry {n}").job for n in range(6))) == ["succeeded"] * 6
    assert effects.count("hungry") == 1


# --- Celery's own remote control -----------------------------------------------------------------------


def revoke(job: Job, **options: object) -> None:
    """Revoke a job as `celery control revoke` and Flower do, and wait until the worker has heard it."""

    def heard() -> bool:
        return len(current_app.control.revoke(str(job.id), reply=True, timeout=10, limit=1, **options)) == 1

    # This process may still hold a connection to a broker that an earlier test has restarted.
    wait_for(heard, what="the worker to hear it", passing_over=(OSError, OperationalError, RedisError))


def test_a_job_revoked_before_it_began_is_cancelled(shift: Shift, effects: Effects, gate: Gate) -> None:
    busy = [tasks.gated.delay(f"held {number}", str(gate)).job for number in range(shift.concurrency)]
    for number in range(shift.concurrency):
        happened(effects, f"held {number} began")
    waiting = tasks.note.delay("revoked").job
    later = tasks.note.apply_async(["revoked later"], countdown=60).job
    revoke(waiting)
    revoke(later, terminate=True, signal="SIGTERM")
    assert ended(waiting, later) == ["cancelled", "cancelled"]
    gate.open()
    assert set(ended(*busy)) == {"succeeded"}
    assert ended(tasks.note.delay("after revoked").job) == ["succeeded"]
    assert (effects.count("revoked"), effects.count("revoked later")) == (0, 0)


def test_a_revoked_job_that_an_operator_puts_back_runs(effects: Effects) -> None:
    job = tasks.note.apply_async(["put back"], countdown=60).job
    revoke(job)
    assert ended(job) == ["cancelled"]
    assert retry_jobs(JobFilter(ids=(job.id,)), actor="ann").changed == 1
    happened(effects, "put back")
    assert ended(job) == ["succeeded"]


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM"])
def test_a_running_job_that_is_terminated_is_cancelled_and_not_tried_again(
    effects: Effects, gate: Gate, signal: str
) -> None:
    job = tasks.gated.delay("terminated", str(gate)).job
    happened(effects, "terminated began")
    revoke(job, terminate=True, signal=signal)
    assert ended(job) == ["cancelled"]
    gate.open()
    assert ended(tasks.note.delay("after terminated").job) == ["succeeded"]
    assert effects.count("terminated began") == 1
    row = Job.objects.get(id=job.id)
    assert (row.attempt, row.worker_losses, row.attempts.earliest("id").error_type) == (1, 0, "Cancelled")


@pytest.mark.parametrize("how", ["asks", "progress"])
def test_a_running_job_that_asks_is_told_that_it_is_cancelled_and_ends_by_itself(
    effects: Effects, gate: Gate, how: str
) -> None:
    job = tasks.asking.delay("asked", how, str(gate)).job
    happened(effects, "asked began")
    assert cancel_jobs(JobFilter(ids=(job.id,)), actor="ann").changed == 1
    assert ended(job) == ["cancelled"]
    assert effects.count("asked was left in order") == 1
    row = Job.objects.get(id=job.id)
    assert (row.attempt, row.worker_losses, row.attempts.get().error_type) == (1, 0, "Cancel")
    assert ended(tasks.note.delay("after asked").job) == ["succeeded"]


def test_a_running_job_that_asks_and_goes_on_is_ended_after_some_seconds(effects: Effects, gate: Gate) -> None:
    job = tasks.asking.delay("goes on", "stubborn", str(gate)).job
    happened(effects, "goes on began")
    assert cancel_jobs(JobFilter(ids=(job.id,)), actor="ann").changed == 1
    assert ended(job) == ["cancelled"]
    assert Job.objects.get(id=job.id).attempts.get().error_type == "Cancelled"
    gate.open()


@on_prefork
@pytest.mark.parametrize("how", ["cancelled", "late"])
def test_a_job_of_a_batch_that_is_ended_costs_the_others_no_attempt(effects: Effects, gate: Gate, how: str) -> None:
    names = [f"{how} {number}" for number in range(3)]
    with transaction.atomic():
        deadline = 3 if how == "late" else None
        first = tasks.gated_together.apply_async((names[0], str(gate)), deadline=deadline).job
        mates = [tasks.gated_together.delay(name, str(gate)).job for name in names[1:]]
    for name in names:
        happened(effects, f"{name} began")
    if how == "cancelled":
        assert cancel_jobs(JobFilter(ids=(first.id,)), actor="ann").changed == 1
    assert ended(first) == ["cancelled" if how == "cancelled" else "dead"]
    for name in names[1:]:
        happened(effects, f"{name} began", 2)
    gate.open()
    assert ended(*mates) == ["succeeded", "succeeded"]
    once_each(effects, [f"{name} ended" for name in names[1:]])
    rows = Job.objects.filter(pk__in=[mate.pk for mate in mates])
    assert [(row.attempt, row.worker_losses, row.attempts.count()) for row in rows] == [(1, 0, 0)] * 2


def test_a_foreign_message_revoked_before_it_came_does_not_run(broker: Valkey, effects: Effects) -> None:
    current_app.control.revoke("order-18", reply=True, timeout=10, limit=1)
    foreign = Celery(broker=broker.url, set_as_current=False)
    foreign.conf.task_default_queue = "default"
    for task_id in ("order-18", "order-19"):
        foreign.send_task("tests.tasks_app.tasks.note", [f"foreign {task_id}"], task_id=task_id)
    foreign.close()
    happened(effects, "foreign order-19")
    assert effects.count("foreign order-18") == 0


# --- The database goes away ---------------------------------------------------------------------------


def test_a_database_that_is_away_at_the_end_of_a_job_has_its_success_recorded_later(
    shift: Shift, effects: Effects, gate: Gate
) -> None:
    job = tasks.gated.delay("database away", str(gate)).job
    happened(effects, "database away began")
    if shift.database.vendor == "postgres":
        environment.postgres.stop()
        connection.close()
        gate.open()
        happened(effects, "database away ended")
        # Longer than the lease, and than a process waits for it.
        always(lambda: shift.worker.exit_code is None, 7)
        environment.postgres.start()
    else:
        connection.close()
        with transaction.atomic():
            # Immediate transactions: nobody else can write meanwhile.
            gate.open()
            happened(effects, "database away ended")
            always(lambda: shift.worker.exit_code is None, 7)
    assert ended(job, seconds=60) == ["succeeded"]
    once_each(effects, ["database away began", "database away ended"])
    assert Job.objects.get(id=job.id).attempt == 1
