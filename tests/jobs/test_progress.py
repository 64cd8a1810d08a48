"""`progress()`: what a task says of how far it is, and what that costs."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from jobs import job, progress
from jobs.models import Job, Queue
from tests.jobs.delivery import deliver
from tests.jobs.locks import elsewhere

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


@contextmanager
def without_autocommit() -> Iterator[None]:
    """Be in a transaction as scripts are that begin none."""
    transaction.set_autocommit(False)
    yield
    transaction.rollback()
    transaction.set_autocommit(True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres_only
@pytest.mark.parametrize("begin", [transaction.atomic, without_autocommit], ids=["atomic", "no autocommit"])
def test_it_is_seen_while_the_task_is_in_a_transaction_and_holds_nobody_up(
    begin: Callable[[], AbstractContextManager[None]],
) -> None:
    seen: list[object] = []

    def look_from_outside() -> None:
        with elsewhere() as other:
            seen.append(other.execute("SELECT progress FROM jobs_job").fetchone())
            other.execute("SELECT 1 FROM jobs_job FOR UPDATE NOWAIT")

    def work() -> None:
        with begin():
            Queue.objects.create(name="written")
            progress(1, 2, "half")
            look_from_outside()

    assert ran(work).state == "succeeded"
    assert seen == [({"done": 1, "total": 2, "message": "half"},)]


@pytest.mark.django_db(transaction=True)
def test_it_is_not_undone_with_the_tasks_transaction_nor_does_it_fail_one() -> None:
    def work() -> None:
        with transaction.atomic():
            progress(1, 1)
            transaction.set_rollback(True)

    row = ran(work)
    assert row.state == "succeeded"
    assert row.progress == ({"done": 1, "total": 1, "message": ""} if connection.vendor == "postgresql" else None)
