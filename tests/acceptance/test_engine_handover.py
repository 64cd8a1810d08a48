"""Jobs that a worker's parent has claimed for its pool: however they get there, each runs once."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from jobs.enqueue.dispatcher import flush
from jobs.models import Job
from tests.acceptance.engine import IMPATIENT, PATIENT, QUICK, Gate, ended, happened, once_each
from tests.acceptance.worker import Worker
from tests.databases import disconnect_others
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import paced, wait_for

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.usefixtures("database"),
    pytest.mark.parametrize("database", ["postgres"], indirect=True),
]

Start = Callable[..., Worker]

pools = pytest.mark.parametrize("pool", ["prefork", "threads"])


@pytest.fixture
def start(start_worker: Start) -> Iterator[Start]:
    yield lambda pool, environment=PATIENT, **options: start_worker(
        pool=pool, options=QUICK, environment=environment, **options
    )
    flush()


def warmed_up(effects: Effects) -> None:
    """Let a worker learn that its jobs are short."""
    tasks.note.delay_many([[f"warm {number}"] for number in range(100)])
    wait_for(lambda: effects.count("warm 99") and not Job.objects.exclude(state="succeeded").exists(), 30)


def test_a_job_that_a_process_has_and_has_not_begun_outlives_the_connection_that_brought_it(
    start: Start, effects: Effects, valkey: Valkey
) -> None:
    worker = start("prefork", concurrency=1)
    [child] = [psutil.Process(pid) for pid in worker.children()]
    child.suspend()
    job = tasks.note.delay("frozen").job
    wait_for(lambda: Job.objects.get(pk=job.pk).state == "running")
    valkey.kill()
    wait_for(lambda: "out of reach" in worker.log_text() or "onnection" in worker.log_text())
    valkey.start()
    child.resume()
    assert ended(job) == ["succeeded"]
    job.refresh_from_db()
    assert (job.attempt, job.attempts.count(), job.worker_losses) == (1, 0, 0)
    once_each(effects, ["frozen"])


@pools
def test_a_worker_that_stops_gives_back_what_it_had_claimed_ahead_with_its_attempt(
    start: Start, effects: Effects, tmp_path: Path, pool: str
) -> None:
    gate = Gate(tmp_path / "gate")
    stopping = start(pool, name="stopping", concurrency=1)
    warmed_up(effects)
    names = [f"behind {number}" for number in range(8)]
    tasks.gated.apply_async(("long", str(gate)), priority=9)
    tasks.note.delay_many([[name] for name in names])
    happened(effects, "long began")
    wait_for(lambda: not Job.objects.filter(state="queued", dispatched_at=None).exists())
    stopping.signal(signal.SIGTERM)
    start(pool, name="other", concurrency=1)
    behind = list(Job.objects.filter(args__0__startswith="behind"))
    assert set(ended(*behind)) == {"succeeded"}
    gate.open()
    assert stopping.wait() == 0
    once_each(effects, [*names, "long began", "long ended"])
    assert {(job.attempt, job.attempts.count(), job.worker_losses) for job in Job.objects.all()} == {(1, 0, 0)}


@pools
def test_what_is_behind_a_long_job_runs_elsewhere_or_after_it_and_once(
    start: Start, effects: Effects, tmp_path: Path, pool: str
) -> None:
    gate = Gate(tmp_path / "gate")
    start(pool, concurrency=1)
    warmed_up(effects)
    names = [f"behind {number}" for number in range(8)]
    tasks.gated.apply_async(("long", str(gate)), priority=9)
    tasks.note.delay_many([[name] for name in names])
    happened(effects, "long began")
    # Nothing but the long one seems to run.
    wait_for(lambda: Job.objects.filter(state="running").count() == 1)
    assert not Job.objects.filter(state="queued", attempt__gt=0).exists()
    gate.open()
    wait_for(lambda: not Job.objects.exclude(state="succeeded").exists(), 30)
    once_each(effects, [*names, "long ended"])


@pools
def test_connections_to_the_database_that_break_lose_nothing_and_repeat_nothing(
    start: Start, effects: Effects, pool: str
) -> None:
    names = [f"cut {number}" for number in range(400)]
    start(pool, concurrency=2)
    tasks.lasting.delay_many([(name, 0.005) for name in names])
    happened(effects, "cut 0 began")
    for _ in paced(8, 0.15):
        disconnect_others()
    wait_for(lambda: not Job.objects.exclude(state="succeeded").exists(), 60)
    once_each(effects, [f"{name} ended" for name in names])
    assert not Job.objects.exclude(attempt=1, worker_losses=0).exists()


def test_a_worker_that_is_killed_counts_one_loss_at_most_against_what_it_had_claimed_ahead(
    start: Start, effects: Effects
) -> None:
    names = [f"killed {number}" for number in range(600)]
    worker = start("prefork", concurrency=2, environment=IMPATIENT)
    tasks.note.delay_many([[name] for name in names])
    happened(effects, "killed 150")
    worker.kill()
    start("prefork", concurrency=2, environment=IMPATIENT)
    wait_for(lambda: not Job.objects.exclude(state="succeeded").exists(), 60)
    assert all(effects.count(name) >= 1 for name in names)
    assert not Job.objects.filter(worker_losses__gt=1).exists()
    lost = Job.objects.filter(worker_losses=1)
    assert {attempt.error_type for job in lost for attempt in job.attempts.all()} <= {"WorkerLost"}
