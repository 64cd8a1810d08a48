"""Workers that die in the middle of a job: another one ends it, and nothing runs twice at once."""

from collections.abc import Callable, Iterator

import psutil
import pytest
from celery import chain
from django.utils import timezone

from jobs.enqueue.dispatcher import flush
from jobs.models import Job, Worker as WorkerRow
from tests.acceptance.engine import IMPATIENT, QUICK, Gate, are_gone, ended, happened, once_each, some_houses
from tests.acceptance.worker import Worker
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import always, wait_for

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("database")]

Start = Callable[..., Worker]


@pytest.fixture
def start(start_worker: Start) -> Iterator[Start]:
    """Start a worker that loses patience soon."""

    def start(pool: str = "prefork", *, environment: dict[str, str] | None = None, **options: object) -> Worker:
        return start_worker(pool=pool, options=QUICK, environment={**IMPATIENT, **(environment or {})}, **options)

    yield start
    flush()


on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)


@some_houses
def test_what_a_killed_worker_had_begun_and_fetched_is_done_by_another(
    start: Start, effects: Effects, gate: Gate, pool: str
) -> None:
    doomed = start(pool, name="doomed", concurrency=2)
    running = tasks.gated.delay("running", str(gate)).job
    chain(tasks.step.s(None, "one"), tasks.gated_step.s("two", str(gate)), tasks.step.s("three"))()
    happened(effects, "running began")
    happened(effects, "two began")
    names = [f"fetched {number}" for number in range(20)]
    tasks.note.delay_many([name] for name in names)
    wait_for(lambda: not Job.objects.filter(state="queued", dispatched_at=None).exists())
    doomed.kill()
    start(pool, name="other", concurrency=2)
    happened(effects, "running began", 2)
    happened(effects, "two began", 2)
    gate.open()
    wait_for(lambda: not Job.objects.exclude(state="succeeded").exists(), 40)
    once_each(effects, [*names, "running ended", "start>one", "one>two", "two>three"])
    assert (effects.count("running began"), effects.count("two began")) == (2, 2)
    attempt = running.attempts.get()
    assert (attempt.error_type, attempt.outcome, attempt.worker) == ("WorkerLost", "retrying", "doomed@test")
    running.refresh_from_db()
    assert (running.worker_losses, running.worker) == (1, "other@test")


@on_postgres
def test_pool_processes_end_with_their_worker_before_its_jobs_run_elsewhere(
    start: Start, effects: Effects, gate: Gate
) -> None:
    lease = 12
    doomed = start(concurrency=1, environment={"JOBS_LEASE_SECONDS": str(lease)})
    job = tasks.gated.delay("orphan", str(gate)).job
    happened(effects, "orphan began")
    pool = doomed.children()
    doomed.kill_main()
    wait_for(lambda: are_gone(pool), lease - 2, what="the pool's processes to end")
    start()
    happened(effects, "orphan began", 2)
    gate.open()
    assert ended(job) == ["succeeded"]
    once_each(effects, ["orphan ended"])


@on_postgres
def test_two_workers_of_one_name_keep_out_of_each_others_way(start: Start, effects: Effects, gate: Gate) -> None:
    first = start(name="twin", concurrency=1)
    job = tasks.gated.delay("twin", str(gate)).job
    happened(effects, "twin began")
    second = start(name="twin", concurrency=1)
    names = [f"beside twin {number}" for number in range(10)]
    beside = [result.job for result in tasks.note.delay_many([[name] for name in names])]
    assert set(ended(*beside)) == {"succeeded"}
    # The other one's renewals do not keep a lease alive, nor its rescues take one.
    always(lambda: effects.count("twin began") == 1, float(IMPATIENT["JOBS_LEASE_SECONDS"]) + 1)
    first.kill()
    happened(effects, "twin began", 2)
    gate.open()
    assert ended(job) == ["succeeded"]
    assert second.exit_code is None
    once_each(effects, [*names, "twin ended"])


@on_postgres
def test_a_frozen_worker_loses_its_job_and_its_late_result(start: Start, effects: Effects, gate: Gate) -> None:
    frozen = start(concurrency=1)
    job = tasks.gated.delay("frozen", str(gate)).job
    happened(effects, "frozen began")
    processes = [psutil.Process(pid) for pid in (frozen.pid, *frozen.children())]
    for process in processes:
        process.suspend()
    start(concurrency=1)
    happened(effects, "frozen began", 2)
    gate.open()
    assert ended(job) == ["succeeded"]
    # A child that looks before its parent has given a sign of life ends itself instead.
    thawed = timezone.now()
    processes[0].resume()
    wait_for(WorkerRow.objects.filter(pid=frozen.pid, seen_at__gt=thawed).exists)
    for process in processes[1:]:
        process.resume()
    wait_for(job.attempts.filter(outcome="refused").exists)
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("succeeded", 2)
    # The second end is the one gap that no ledger can close: the frozen task goes on where it was.
    assert effects.count("frozen ended") == 2


@on_postgres
def test_threads_that_hang_make_their_worker_renew_itself(start: Start, effects: Effects, gate: Gate) -> None:
    worker = start("threads", concurrency=2)
    job = tasks.overlong.delay("hung", str(gate)).job
    happened(effects, "hung began")
    wait_for(lambda: worker.log_text().count(" ready.") == 2, 40, what="the worker to begin anew")
    assert worker.exit_code is None
    gate.open()
    assert ended(job) == ["succeeded"]
    assert ended(tasks.note.delay("after renewal").job) == ["succeeded"]
    once_each(effects, ["hung ended", "after renewal"])
