"""A batch waits for others, never longer than it says, and loses nothing by it."""

from collections.abc import Callable
from typing import Any

import pytest

from jobs.core.states import State
from jobs.enqueue import dispatcher
from jobs.models import Job
from jobs.operations.actions import cancel_jobs
from jobs.operations.filters import JobFilter
from tests.acceptance.engine import IMPATIENT
from tests.acceptance.worker import Worker
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import wait_for

Start = Callable[..., Worker]


def enqueue(task: Any, *words: str) -> list[Job]:
    """Enqueue jobs, each with a message of its own."""
    jobs = []
    for word in words:
        jobs.append(task.delay(word).job)
        dispatcher.flush()
    return jobs


def all_in(state: State, number: int) -> None:
    wait_for(lambda: Job.objects.filter(state=state).count() == number, 30, what=f"{number} jobs to be {state}")


def test_jobs_that_come_one_after_the_other_are_called_together(start_worker: Start, effects: Effects) -> None:
    start_worker(pool="threads", concurrency=2)
    enqueue(tasks.gathered_later, "a", "b")
    all_in(State.RUNNING, 2)
    enqueue(tasks.gathered_later, "c")
    all_in(State.SUCCEEDED, 3)
    assert effects.count("3 together") == 1
    enqueue(tasks.gathered_later, *"defg")
    all_in(State.SUCCEEDED, 7)
    assert effects.count("4 together") == 1


@pytest.mark.timeout(180)
def test_a_worker_that_stops_or_is_killed_while_a_batch_waits_loses_nothing(
    start_worker: Start, effects: Effects
) -> None:
    worker = start_worker(pool="threads", concurrency=2, environment=IMPATIENT)
    jobs = enqueue(tasks.gathered_much_later, "a", "b", "c")
    all_in(State.RUNNING, 3)
    cancel_jobs(JobFilter(ids=(jobs[0].pk,)), actor="ann")
    all_in(State.CANCELLED, 1)
    worker.stop()
    all_in(State.QUEUED, 2)
    assert list(Job.objects.filter(state=State.QUEUED).values_list("attempt", flat=True)) == [0, 0]
    worker = start_worker(pool="threads", concurrency=2, environment=IMPATIENT)
    all_in(State.RUNNING, 2)
    worker.kill()
    start_worker(pool="threads", concurrency=2, environment=IMPATIENT)
    enqueue(tasks.gathered_much_later, "d", "e", "f", "g")
    all_in(State.SUCCEEDED, 6)
    assert [effects.count(word) for word in "abcdefg"] == [0, 1, 1, 1, 1, 1, 1]
