"""Whatever a task's code raises, real workers record it, and neither they nor their processes take any harm."""

from collections.abc import Callable

import pytest

from jobs.models import Job
from tests.acceptance.engine import IMPATIENT, QUICK, ended
from tests.acceptance.worker import Worker
from tests.tasks_app import hostile, tasks
from tests.tasks_app.effects import Effects
from tests.tasks_app.hostile import OUTBURSTS

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("database")]


@pytest.mark.parametrize(
    "database, pool", [("postgres", "prefork"), ("sqlite", "prefork"), ("postgres", "threads")], indirect=["database"]
)
def test_whatever_is_raised_is_recorded_and_does_no_harm(
    start_worker: Callable[..., Worker], effects: Effects, pool: str
) -> None:
    worker = start_worker(pool=pool, concurrency=2, options=QUICK, environment=IMPATIENT)
    assert ended(*(tasks.note.delay(f"before {number}").job for number in range(4))) == ["succeeded"] * 4
    processes = set(worker.children())
    failing = [
        hostile.outburst.delay(place=place, how=how).job
        for place in ("body", "before_start", "on_failure")
        for how in OUTBURSTS
    ]
    succeeding = [
        hostile.outburst.delay(place=place, how=how).job
        for place in ("result", "on_success", "after_return")
        for how in OUTBURSTS
    ]
    assert set(ended(*failing, *succeeding, seconds=90)) == {"dead", "succeeded"}
    for job in [*failing, *succeeding]:
        job.refresh_from_db()
    assert {(job.state, job.attempt, job.worker_losses) for job in failing} == {("dead", 1, 0)}
    assert {(job.state, job.attempt, job.worker_losses) for job in succeeding} == {("succeeded", 1, 0)}
    assert {job.attempts.count() for job in failing} == {1}
    assert {count for effect in effects.lines() if (count := effects.count(effect)) != 1} == set()
    again = hostile.outburst_again.delay(place="body", how="Homesick").job
    assert ended(again) == ["dead"]
    assert [attempt.error_type for attempt in again.attempts.all()] == ["Homesick"] * 2
    assert Job.objects.exclude(worker_losses=0).count() == 0
    assert (worker.exit_code, set(worker.children())) == (None, processes)
