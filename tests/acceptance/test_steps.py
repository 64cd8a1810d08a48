"""Steps of jobs whose workers are killed, stopped and frozen: what is done is not done again."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from jobs.models import Job
from tests.acceptance.engine import IMPATIENT, PATIENT, QUICK, Gate, ended, happened, on_postgres, once_each, two_houses
from tests.acceptance.worker import Worker
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import wait_for

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("database")]

Start = Callable[..., Worker]


@two_houses
def test_after_a_kill_between_two_steps_a_job_goes_on_with_the_next(
    start_worker: Start, effects: Effects, tmp_path: Path, pool: str
) -> None:
    gate = Gate(tmp_path / "gate")
    worker = start_worker(pool=pool, concurrency=1, environment=IMPATIENT, options=QUICK)
    job = tasks.journey.delay("a", str(gate)).job
    happened(effects, "a waits")
    if pool == "prefork":
        worker.kill_child()
    else:
        worker.kill()
        start_worker(pool=pool, concurrency=1, environment=IMPATIENT, options=QUICK)
    happened(effects, "a waits", 2, seconds=40)
    gate.open()
    assert ended(job, seconds=40) == ["succeeded"]
    once_each(effects, ["a first", "a second", "a third"])
    assert list(job.steps.values_list("name", "attempt")) == [("first", 1), ("second", 1), ("third", 2)]


@pytest.mark.parametrize("database, pool", [("postgres", "threads"), ("sqlite", "prefork")], indirect=["database"])
def test_a_worker_that_stops_between_steps_consumes_no_attempt(
    start_worker: Start, effects: Effects, pool: str
) -> None:
    steps, rows = 60, 60
    job = tasks.marching.delay("b", steps, rows).job
    for name, effect in (("in the steps", "b step 3"), ("in the rows", "b row 5")):
        worker = start_worker(name=name.replace(" ", "-"), pool=pool, concurrency=1, environment=PATIENT, options=QUICK)
        happened(effects, effect)
        assert worker.stop(seconds=20) == 0
        row = Job.objects.get(pk=job.pk)
        assert (row.state, row.attempt, row.attempts.count()) == ("queued", 0, 0)
    assert effects.count(f"b row {rows - 1}") == 0
    start_worker(name="last", pool=pool, concurrency=1, environment=PATIENT, options=QUICK)
    assert ended(job, seconds=40) == ["succeeded"]
    once_each(effects, [f"b step {number}" for number in range(steps)] + [f"b row {row}" for row in range(rows)])
    row = Job.objects.get(pk=job.pk)
    assert (row.attempt, row.worker_losses, row.attempts.count()) == (1, 0, 0)


@on_postgres
def test_who_was_frozen_in_a_step_and_lost_the_lease_keeps_nothing(
    start_worker: Start, effects: Effects, tmp_path: Path
) -> None:
    gate = Gate(tmp_path / "gate")
    frozen = start_worker(name="frozen", pool="threads", concurrency=1, environment=IMPATIENT, options=QUICK)
    job = tasks.halting.delay("c", str(gate)).job
    happened(effects, "c waits")
    psutil.Process(frozen.pid).suspend()
    start_worker(name="other", pool="threads", concurrency=1, environment=IMPATIENT, options=QUICK)
    happened(effects, "c waits", 2, seconds=40)
    gate.open()
    assert ended(job) == ["succeeded"]
    psutil.Process(frozen.pid).resume()
    wait_for(lambda: job.attempts.filter(error_type="LeaseLost").exists(), 30, what="the late step to be refused")
    once_each(effects, ["c after"])
    assert list(job.steps.values_list("name", "attempt")) == [("wait", 2), ("after", 2)]
    assert frozen.stop() == 0


@two_houses
def test_the_death_of_the_broker_is_nothing_to_a_job_with_steps(
    start_worker: Start, effects: Effects, tmp_path: Path, valkey: Valkey, pool: str
) -> None:
    gate = Gate(tmp_path / "gate")
    start_worker(pool=pool, concurrency=2, environment=IMPATIENT, options=QUICK)
    halted, halfway = tasks.halting.delay("d", str(gate)).job, tasks.journey.delay("e", str(gate)).job
    happened(effects, "d waits")
    happened(effects, "e waits")
    valkey.kill()
    gate.open()
    assert ended(halted, halfway, seconds=40) == ["succeeded"] * 2
    valkey.start()
    once_each(effects, ["d waits", "d after", "e first", "e second", "e waits", "e third"])
    assert [job.steps.filter(attempt=1).count() for job in (halted, halfway)] == [2, 3]
    after = tasks.journey.delay("f", str(gate)).job
    assert ended(after, seconds=40) == ["succeeded"]
