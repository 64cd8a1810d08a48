"""Limits hold over all workers at every moment, are used while jobs wait, and nothing that dies keeps a place."""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import pairwise
from typing import cast

import pytest

from jobs.core.states import State
from jobs.models import Job
from tests.acceptance.engine import IMPATIENT
from tests.acceptance.worker import Worker
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import wait_for

Start = Callable[..., Worker]

#: How much of a limit is used at least while jobs wait.
USED = 0.95


@pytest.fixture
def workers(start_worker: Start) -> list[Worker]:
    """Three workers with more processes together than any limit here lets run."""
    started = [start_worker(pool="threads", concurrency=4, environment=IMPATIENT, ready=False) for _ in range(3)]
    for worker in started:
        worker.wait_until_ready()
    return started


def most_at_once(lines: Iterable[str]) -> int:
    """Return how many jobs ran at once at most, by the order in which they began and ended."""
    running = most = 0
    for line in lines:
        running += line.endswith("began")
        running -= line.endswith("ended")
        most = max(most, running)
    return most


def all_done(number: int, seconds: float = 60.0) -> None:
    wait_for(lambda: Job.objects.filter(state=State.SUCCEEDED).count() == number, seconds)


def spans() -> list[tuple[datetime, datetime]]:
    """Return when jobs began and ended, in the order of their beginning."""
    found = Job.objects.filter(started_at__isnull=False, finished_at__isnull=False).order_by("started_at")
    return cast("list[tuple[datetime, datetime]]", list(found.values_list("started_at", "finished_at")))


def test_no_more_jobs_run_at_once_than_may_and_as_many_while_others_wait(
    workers: list[Worker], effects: Effects
) -> None:
    for number in range(27):
        tasks.slotted.delay(str(number), 0.8)
    all_done(27)
    assert most_at_once(effects.lines()) == 3
    # Until the last one begins, others wait.
    first, last = spans()[0][0], spans()[-1][0]
    used = sum((min(end, last) - start).total_seconds() for start, end in spans())
    whole = (last - first).total_seconds()
    assert used >= 3 * whole * USED


def test_jobs_begin_evenly_at_their_rate_and_no_start_goes_unused(workers: list[Worker]) -> None:
    tasks.paced.delay_many([(str(number),) for number in range(160)])
    all_done(160)
    gaps = [(later - sooner).total_seconds() for (sooner, _), (later, _) in pairwise(spans())]
    assert min(gaps) >= 1 / 40 - 0.001
    assert sum(gaps) <= 159 / 40 / USED


def test_each_key_has_its_own_limit_and_none_waits_for_another(workers: list[Worker], effects: Effects) -> None:
    for number in range(4):
        for tenant in ("a", "b", "c"):
            tasks.by_tenant.delay(tenant, str(number), 0.3)
    all_done(12)
    for tenant in ("a", "b", "c"):
        assert most_at_once(line for line in effects.lines() if line.startswith(tenant)) == 1
    assert most_at_once(effects.lines()) > 1


def test_a_key_that_cannot_be_made_is_its_attempts_error_and_loses_no_job(workers: list[Worker]) -> None:
    job_id = tasks.of_no_key.delay("never").id
    wait_for(lambda: Job.objects.get(pk=job_id).state == State.DEAD, 30)
    assert Job.objects.get(pk=job_id).last_error == "Broken: no key can be made"


def test_a_killed_worker_keeps_no_place(start_worker: Start, effects: Effects) -> None:
    killed = start_worker(pool="prefork", concurrency=3, environment=IMPATIENT)
    for number in range(3):
        tasks.slotted.delay(f"first {number}", 50)
    wait_for(lambda: len(effects) == 3, 20)
    for number in range(9):
        tasks.slotted.delay(f"later {number}", 0.1)
    # The three of the killed worker go on, too: they are tried again.
    killed.kill()
    effects.clear()
    Job.objects.filter(state=State.RUNNING).update(args=["again", 0.1])
    start_worker(pool="threads", concurrency=6, environment=IMPATIENT)
    all_done(12)
    assert most_at_once(effects.lines()) <= 3
