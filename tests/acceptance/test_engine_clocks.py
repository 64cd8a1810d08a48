"""Machines whose clocks differ: leases, due times and retries go by the database's clock alone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from celery import Celery
from django.db.models.functions import Now

from jobs.enqueue.dispatcher import flush
from jobs.models import Job, Worker as WorkerEntry
from tests.acceptance.engine import IMPATIENT, QUICK, Gate, ended, happened, once_each
from tests.acceptance.worker import Worker
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import always, wait_for

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("database"),
    # SQLite's clock is that of whoever asks: it has one machine only.
    pytest.mark.parametrize("database", ["postgres"], indirect=True),
]

Start = Callable[..., Worker]

#: What Python reads at its start: from then on its process lives in another hour.
WRONG_CLOCK = """
import datetime, time

SECONDS = {seconds}
right = time.time
time.time = lambda: right() + SECONDS

class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.UTC).replace(tzinfo=None)

datetime.datetime = Shifted
"""


@pytest.fixture
def start(start_worker: Start, tmp_path: Path) -> Start:
    """Start a worker whose machine has a wrong clock."""

    def start(name: str, hours: float) -> Worker:
        directory = tmp_path / name
        directory.mkdir()
        (directory / "sitecustomize.py").write_text(WRONG_CLOCK.format(seconds=hours * 3600))
        environment = {**IMPATIENT, "PYTHONPATH": str(directory)}
        return start_worker(pool="threads", name=name, concurrency=1, options=QUICK, environment=environment)

    return start


def test_workers_with_wrong_clocks_neither_lose_jobs_nor_begin_them_early(
    start: Start, effects: Effects, tmp_path: Path
) -> None:
    gate = Gate(tmp_path / "gate")
    ahead, behind = start("ahead", 30), start("behind", -30)
    running = [tasks.gated.delay(f"running {number}", str(gate)).job for number in range(2)]
    for number in range(2):
        happened(effects, f"running {number} began")
    # Neither takes the other's lease for lost, nor lets its own run out.
    always(lambda: len(effects) == 2, float(IMPATIENT["JOBS_LEASE_SECONDS"]) + 1)
    gate.open()
    assert set(ended(*running)) == {"succeeded"}
    later = [tasks.note.apply_async([f"later {number}"], countdown=2).job for number in range(4)]
    failing = tasks.flaky.delay("failing", 2).job
    assert set(ended(*later, failing, seconds=20)) == {"succeeded"}
    for job in later:
        job.refresh_from_db()
        assert job.started_at is not None
        assert timedelta() <= job.started_at - job.run_at < timedelta(seconds=5)
    once_each(effects, [f"later {number}" for number in range(4)])
    # Nor does either take the other for long gone.
    assert WorkerEntry.objects.filter(seen_at__gt=Now() - timedelta(seconds=20)).count() == 2
    assert (ahead.exit_code, behind.exit_code) == (None, None)
    flush()


def test_what_a_worker_enqueues_for_a_time_is_due_by_the_databases_clock(start: Start, effects: Effects) -> None:
    start("ahead", 30)
    eta = datetime.now(UTC) + timedelta(hours=1)
    tasks.note.apply_async(["first"], link=tasks.note.si("linked").set(eta=eta))
    happened(effects, "first")
    linked = wait_for(Job.objects.exclude(parent_id=None).first)
    assert linked is not None
    assert (linked.state, linked.run_at) == ("scheduled", eta)


def test_what_a_task_asks_for_at_a_time_goes_by_the_databases_clock(start: Start, effects: Effects) -> None:
    start("ahead", 30)
    now = datetime.now(UTC)
    later = {"eta": now + timedelta(hours=1)}
    put_off = tasks.note.si("put off").set(**later, unique="put off", replace=["run_at"], max_delay=600)
    in_time = tasks.note.si("in time").set(deadline=now + timedelta(hours=2))
    tasks.note.apply_async(["first"], link=[put_off, in_time])
    happened(effects, "in time")
    [linked] = Job.objects.filter(state="scheduled")
    assert timedelta(seconds=590) < linked.run_at - now < timedelta(seconds=660)
    again = tasks.steer.delay("retry", **later).job
    wait_for(Job.objects.filter(pk=again.pk, state="retrying").exists)
    again.refresh_from_db()
    assert abs(again.run_at - later["eta"]) < timedelta(seconds=5)


@pytest.mark.parametrize("hours", [30, -30])
def test_a_foreign_message_for_later_is_due_by_the_databases_clock(
    start: Start, effects: Effects, valkey: Valkey, hours: float
) -> None:
    start("wrong", hours)
    foreign = Celery(broker=valkey.url, set_as_current=False)
    foreign.conf.task_default_queue = "default"
    soon = foreign.send_task("tests.tasks_app.tasks.note", ["soon"], countdown=2)
    much_later = foreign.send_task("tests.tasks_app.tasks.note", ["much later"], countdown=3600)
    foreign.close()
    happened(effects, "soon")
    job = Job.objects.get(id=soon.id)
    assert job.started_at is not None
    assert timedelta() <= job.started_at - job.run_at < timedelta(seconds=5)
    wait_for(Job.objects.filter(id=much_later.id, state="scheduled").exists)
    assert effects.count("much later") == 0


def test_a_batch_waits_for_others_as_long_as_its_jobs_have_by_the_databases_clock(
    start: Start, effects: Effects
) -> None:
    start("ahead", 30)
    first = tasks.gathered_much_later.apply_async(["first"], expires=3600).job
    wait_for(Job.objects.filter(id=first.id, state="running").exists)
    always(lambda: effects.count("first") == 0, 1)
    others = [tasks.gathered_much_later.delay(f"other {number}").job for number in range(5)]
    assert set(ended(first, *others)) == {"succeeded"}


def test_a_batch_waits_for_nobody_where_a_job_would_be_late_by_the_databases_clock(start: Start) -> None:
    start("behind", -30)
    # By its worker's clock it would have 30 hours; the batch would wait for a minute.
    assert ended(tasks.gathered_much_later.apply_async(["soon"], expires=50).job) == ["succeeded"]


#: The same, for a clock that somebody sets while the process runs.
STEPPED_CLOCK = """
import os, time

right = time.time

def stepped():
    return right() + (120 if os.path.exists({step!r}) else 0)

time.time = stepped
"""


@pytest.mark.parametrize("pool", ["threads", "solo", "prefork"])
def test_a_clock_that_is_set_amid_a_job_ends_nothing(
    start_worker: Start, effects: Effects, tmp_path: Path, pool: str
) -> None:
    step, gate = tmp_path / "step", Gate(tmp_path / "gate")
    (tmp_path / "sitecustomize.py").write_text(STEPPED_CLOCK.format(step=str(step)))
    worker = start_worker(pool=pool, options=QUICK, environment={**IMPATIENT, "PYTHONPATH": str(tmp_path)})
    # Its limits are of 60 s.
    job = tasks.gated.delay("slow", str(gate)).job
    happened(effects, "slow began")
    step.touch()
    always(lambda: worker.exit_code is None, float(IMPATIENT["JOBS_LEASE_SECONDS"]) + 2)
    job.refresh_from_db()
    assert (job.state, job.attempt, job.worker_losses) == ("running", 1, 0)
    gate.open()
    assert ended(job) == ["succeeded"]
    job.refresh_from_db()
    assert job.attempt == 1
    once_each(effects, ["slow began", "slow ended"])
