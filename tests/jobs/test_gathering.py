"""Claimed jobs of a batch task wait for a fuller batch: until it is full, or the first has waited long enough."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from jobs import job
from jobs.errors import InvalidOption
from jobs.worker.gathering import Gathering
from jobs.worker.reserved import ReservedJob
from jobs.worker.started_flags import started
from tests.jobs.test_claimer import taken
from tests.tasks_app import tasks
from tests.waiting import wait_for

PATIENT, QUICK = tasks.gathered_much_later, tasks.gathered_later


@pytest.fixture
def made() -> Iterator[list[ReservedJob]]:
    """The jobs of a test."""
    jobs: list[ReservedJob] = []
    yield jobs
    for one in jobs:
        started.free(one.slot)


class Gathered(Gathering):
    """Notes what begins."""

    def __init__(self, made: list[ReservedJob]) -> None:
        self.begun: list[list[ReservedJob]] = []
        self.made = made
        super().__init__(lambda call: call(), lambda jobs: self.begun.append([*jobs]))

    def add(self, task: Any = PATIENT, **values: Any) -> ReservedJob:
        """Claim a job and put it."""
        one = ReservedJob(taken(task=task.name)._replace(**values), task, "worker@test")
        self.made.append(one)
        if found := self.put(one):
            self.begun.append(found)
        return one


def test_a_full_batch_begins_at_once_and_the_next_waits(made: list[ReservedJob]) -> None:
    gathered = Gathered(made)
    jobs = [gathered.add() for _ in range(PATIENT.batch + 2)]
    assert gathered.begun == [jobs[: PATIENT.batch]]
    assert gathered.take_all() == jobs[PATIENT.batch :]
    assert gathered.take_all() == []


def test_those_that_have_waited_begin_though_the_first_was_recalled(made: list[ReservedJob]) -> None:
    gathered = Gathered(made)
    first, *others = [gathered.add(QUICK) for _ in range(3)]
    assert gathered.recall(first.job.id) is first
    assert gathered.recall(first.job.id) is None
    assert gathered.recall(uuid.uuid4()) is None
    wait_for(lambda: gathered.begun, 20, what="the batch to begin")
    assert gathered.begun == [others]


def test_a_job_that_would_be_late_waits_for_nobody_nor_do_those_with_it(made: list[ReservedJob]) -> None:
    gathered = Gathered(made)
    expiring = [gathered.add(), gathered.add(expires_by=time.monotonic() + 30)]
    ending = [gathered.add(), gathered.add(ends_by=0.0)]
    assert gathered.begun == [expiring, ending]
    later = gathered.add(expires_by=time.monotonic() + 3600)
    assert gathered.take_all() == [later]


def test_those_that_need_a_dependency_are_let_go_when_its_breaker_opens(made: list[ReservedJob]) -> None:
    gathered = Gathered(made)
    needs, other = gathered.add(breaker="smtp"), gathered.add()
    assert gathered.needing(["smtp", "search"]) == [needs]
    assert gathered.take_all() == [other]


def test_tasks_gather_apart(made: list[ReservedJob]) -> None:
    gathered = Gathered(made)
    for _ in range(QUICK.batch - 1):
        gathered.add(PATIENT)
        gathered.add(QUICK)
    assert gathered.begun == []
    gathered.add(QUICK)
    assert [len(jobs) for jobs in gathered.begun] == [QUICK.batch]
    gathered.take_all()


@pytest.mark.parametrize("wait", [0, -1, 301, "3", True, None])
def test_a_wait_that_is_none_is_refused_at_import(wait: Any) -> None:
    with pytest.raises(InvalidOption, match="batch_wait="):
        job(batch=3, batch_wait=wait)(print)


def test_a_wait_without_a_batch_is_refused_at_import() -> None:
    declare: Any = job
    with pytest.raises(InvalidOption, match="batch_wait= says nothing without batch="):
        declare(batch_wait=3)(print)
