"""Limits hold over all workers at every moment, are used while jobs wait, and nothing that dies keeps a place."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import cast

import pytest

from jobs.core.states import State
from jobs.models import Job
from tests.acceptance.engine import IMPATIENT, QUICK, on_sqlite
from tests.acceptance.worker import Worker
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import wait_for

Start = Callable[..., Worker]

#: How much of a limit is used at least while jobs wait, over so many seconds.
USED, STRETCH = 0.95, 4.0

#: What `tests.tasks_app.tasks` says of `slotted` and `paced`; and of each as many as take some eight seconds.
AT_ONCE, RATE = 3, 10
SLOTTED, PACED = 15, 80


def start(start_worker: Start, count: int, concurrency: int) -> None:
    """Start so many workers, and wait for all of them."""
    workers = [
        start_worker(pool="threads", concurrency=concurrency, environment=IMPATIENT, options=QUICK, ready=False)
        for _ in range(count)
    ]
    for worker in workers:
        worker.wait_until_ready()


@pytest.fixture
def workers(start_worker: Start) -> None:
    """Workers with more threads together than any limit here lets run."""
    start(start_worker, count=2, concurrency=6)


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


def spans(task: str) -> list[tuple[float, float]]:
    """Return when a task's jobs began and ended, by the database's clock, in the order of their beginning."""
    jobs = Job.objects.filter(task=task, state=State.SUCCEEDED).order_by("started_at")
    found = cast("list[tuple[datetime, datetime]]", list(jobs.values_list("started_at", "finished_at")))
    return [(began.timestamp(), ended.timestamp()) for began, ended in found]


def most_used(began: Sequence[float], used: Callable[[float, float], float]) -> float:
    """Return how much was used in the best stretch of at least `STRETCH` seconds, from one beginning to another.

    Until the last one begins, others wait. What else the machine does takes from every stretch, and never gives to one.
    """
    return max(used(first, last) for first in began for last in began if STRETCH <= last - first <= 2 * STRETCH)


def test_eight_workers_exceed_no_limit_and_use_all_of_it_while_jobs_wait(start_worker: Start, effects: Effects) -> None:
    start(start_worker, count=8, concurrency=2)
    tasks.paced.delay_many([(str(number),) for number in range(PACED)])
    # Long, so that the time from one's record to the next one's claim is little beside it.
    tasks.slotted.delay_many([(f"slotted {number}", 2.0) for number in range(SLOTTED)])
    all_done(PACED + SLOTTED)

    assert most_at_once(effects.lines()) == AT_ONCE
    slotted = spans(tasks.slotted.name)

    def places(first: float, last: float) -> float:
        return sum(max(0.0, min(ended, last) - max(began, first)) for began, ended in slotted) / (last - first)

    assert most_used([began for began, _ in slotted], places) >= AT_ONCE * USED

    paced = [began for began, _ in spans(tasks.paced.name)]
    assert min(later - sooner for sooner, later in pairwise(paced)) >= 1 / RATE - 0.001

    def starts(first: float, last: float) -> float:
        return (bisect_left(paced, last) - bisect_left(paced, first)) / (last - first)

    assert most_used(paced, starts) >= RATE * USED


@pytest.mark.usefixtures("workers")
def test_each_key_has_its_own_limit_and_none_waits_for_another(effects: Effects) -> None:
    for number in range(4):
        for tenant in ("a", "b", "c"):
            tasks.by_tenant.delay(tenant, str(number), 0.3)
    all_done(12)
    for tenant in ("a", "b", "c"):
        assert most_at_once(line for line in effects.lines() if line.startswith(tenant)) == 1
    assert most_at_once(effects.lines()) > 1


@on_sqlite
@pytest.mark.usefixtures("workers")
def test_a_key_that_cannot_be_made_is_its_attempts_error_and_loses_no_job() -> None:
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
