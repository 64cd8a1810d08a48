"""`progress()`: what a task says of how far it is, and what that costs."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs import job, progress
from jobs.models import Job
from tests.jobs.delivery import deliver

pytestmark = pytest.mark.django_db

#: What the task does.
acts: list[Callable[[], None]] = []


@job(name="tests.reporting")
def reporting() -> None:
    """Do as the test says."""
    for act in acts:
        act()


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Nothing is to be done yet."""
    acts.clear()
    yield
    acts.clear()


def ran(act: Callable[[], None]) -> Job:
    """Run a job that does this, and return it."""
    acts.append(act)
    row: Job = reporting.delay().job
    deliver(row)
    return row


def test_what_a_task_said_last_stays_with_its_job() -> None:
    row = ran(lambda: progress(3, 3, "all of it"))
    assert (row.state, row.progress) == ("succeeded", {"done": 3, "total": 3, "message": "all of it"})


def test_a_tight_loop_costs_two_statements() -> None:
    captured: list[CaptureQueriesContext] = []

    def count() -> None:
        with CaptureQueriesContext(connection) as queries:
            for number in range(1, 1001):
                progress(number, 1000)
        captured.append(queries)

    row = ran(count)
    assert row.progress == {"done": 1000, "total": 1000, "message": ""}
    # The first word and the last one; on a machine that is busy some in between.
    assert 2 <= len(captured[0]) <= 10


def test_where_nobody_knows_the_total_there_is_none() -> None:
    assert ran(lambda: progress(7)).progress == {"done": 7, "total": None, "message": ""}


def test_outside_of_a_job_it_does_nothing() -> None:
    with CaptureQueriesContext(connection) as queries:
        progress(1, 2)
    assert len(queries) == 0


@pytest.mark.parametrize("values", [(-1,), (1, -2), ("1",), (True,), (1, float("nan")), (float("inf"),)])
def test_what_is_no_number_is_refused(values: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"progress\(\): (done|total)=.* is not valid"):
        progress(*values)
