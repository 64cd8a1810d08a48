"""Workers that are told to stop: what runs may finish, what does not goes back, and the end comes in time."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.enqueue.dispatcher import flush
from jobs.models import Job, Worker as Entry
from jobs.reports.workers import Presence, presence
from tests.acceptance.engine import PATIENT, QUICK, Gate, ended, happened, once_each, some_houses
from tests.acceptance.worker import Worker
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import wait_for

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("database")]

Start = Callable[..., Worker]


@pytest.fixture
def start(start_worker: Start) -> Iterator[Start]:
    """Start a worker that waits long for others, and a few seconds for its own jobs when it stops."""

    def start(pool: str, *, seconds: float = 4, **options: object) -> Worker:
        environment = {**PATIENT, "JOBS_SHUTDOWN_SECONDS": str(seconds)}
        return start_worker(pool=pool, options=QUICK, environment=environment, **options)

    yield start
    flush()


def left_in_order(name: str) -> bool:
    """Return whether every worker of this name has said that it stops."""
    return {presence(entry) for entry in Entry.objects.filter(name=f"{name}@test")} == {Presence.STOPPED}


@some_houses
def test_what_runs_may_finish_what_does_not_goes_back_and_what_was_fetched_goes_back_at_once(
    start: Start, effects: Effects, tmp_path: Path, pool: str
) -> None:
    soon, never = Gate(tmp_path / "soon"), Gate(tmp_path / "never")
    stopping = start(pool, name="stopping", concurrency=2)
    finishing = tasks.gated.delay("finishing", str(soon)).job
    overlong = tasks.gated.delay("overlong", str(never)).job
    happened(effects, "finishing began")
    happened(effects, "overlong began")
    names = [f"fetched {number}" for number in range(6)]
    fetched = [result.job for result in tasks.note.delay_many([name] for name in names)]
    wait_for(lambda: not Job.objects.filter(state="queued", dispatched_at=None).exists())
    stopping.signal(signal.SIGTERM)
    soon.open()
    assert ended(finishing) == ["succeeded"]
    assert finishing.attempts.count() == 0
    start(pool, name="other", concurrency=2)
    assert set(ended(*fetched)) == {"succeeded"}
    assert stopping.wait() == 0
    assert left_in_order("stopping")
    happened(effects, "overlong began", 2)
    never.open()
    assert ended(overlong) == ["succeeded"]
    attempt = overlong.attempts.get()
    assert (attempt.error_type, attempt.outcome, attempt.worker) == ("WorkerStopped", "queued", "stopping@test")
    once_each(effects, [*names, "finishing began", "finishing ended", "overlong ended"])
    overlong.refresh_from_db()
    assert (overlong.worker_losses, overlong.worker) == (0, "other@test")


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_workers_that_stop_under_load_stop_soon_and_nothing_runs_twice(
    start: Start, effects: Effects, pool: str
) -> None:
    names = [f"load {number}" for number in range(200)]
    tasks.lasting.delay_many([(name, 0.01) for name in names])
    for number in range(2):
        worker = start(pool, seconds=20, name=f"brief{number}", concurrency=2)
        done = len(effects)
        wait_for(lambda done=done: len(effects) > done + 30)  # type: ignore[misc]
        # Celery's own pool takes 30 s where it waits for results that it has read already.
        assert worker.stop(seconds=25) == 0
    start(pool, name="last", concurrency=2)
    wait_for(lambda: not Job.objects.exclude(state="succeeded").exists(), 60)
    once_each(effects, [f"{name} {what}" for name in names for what in ("began", "ended")])


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_second_signal_ends_a_worker_at_once_and_its_jobs_go_back(
    start: Start, effects: Effects, tmp_path: Path
) -> None:
    gate = Gate(tmp_path / "gate")
    stopping = start("prefork", seconds=60, name="stopping", concurrency=1)
    job = tasks.gated.delay("cut", str(gate)).job
    happened(effects, "cut began")
    stopping.signal(signal.SIGTERM)
    wait_for(lambda: "Warm shutdown" in stopping.log_text())
    stopping.signal(signal.SIGQUIT)
    stopping.wait(20)
    assert left_in_order("stopping")
    start("prefork", name="other", concurrency=1)
    happened(effects, "cut began", 2)
    gate.open()
    assert ended(job) == ["succeeded"]
    once_each(effects, ["cut ended"])


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_told_to_quit_ends_at_once_and_its_jobs_go_back(
    start: Start, effects: Effects, tmp_path: Path, pool: str
) -> None:
    gate = Gate(tmp_path / "gate")
    quitting = start(pool, seconds=60, name="quitting", concurrency=1)
    job = tasks.gated.delay("quit", str(gate)).job
    happened(effects, "quit began")
    quitting.signal(signal.SIGQUIT)
    # A third of what its jobs would be given.
    quitting.wait(20)
    assert left_in_order("quitting")
    assert "Unrecoverable" not in quitting.log_text()
    start(pool, name="other", concurrency=1)
    happened(effects, "quit began", 2)
    gate.open()
    assert ended(job) == ["succeeded"]
    once_each(effects, ["quit ended"])
    assert [attempt.outcome for attempt in job.attempts.all()] == ["queued"]
    assert Job.objects.get(id=job.id).worker_losses == 0
