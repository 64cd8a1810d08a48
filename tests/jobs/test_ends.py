"""Who waits for a job on PostgreSQL is told of its end; nobody is told of the others."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from celery.result import AsyncResult
from django.db import connection

from jobs import Permanent, job
from jobs.compose.ends import Pauses, listener
from jobs.ledger import waiters
from jobs.ledger.notify import own_connection, rows
from jobs.models import Job, Waiter
from tests.jobs.delivery import deliver
from tests.servers import Postgres, Valkey
from tests.tasks_app.canvas import number, replaced
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres_only]


@pytest.fixture(autouse=True)
def broker(valkey: Valkey) -> None:
    """Letters of dead jobs go there."""


@job(name="tests.ends.given", ignore_result=False, max_retries=0)
def given(kind: str) -> str:
    if kind == "dead":
        raise Permanent("no use")
    return kind


@pytest.fixture
def awaited() -> Iterator[Callable[[uuid.UUID], threading.Event]]:
    """Begins to wait for a job, and returns when its end will be heard of."""
    begun: list[tuple[uuid.UUID, threading.Event]] = []

    def begin(job_id: uuid.UUID) -> threading.Event:
        event = listener.await_end(job_id)
        begun.append((job_id, event))
        assert event.wait(20)
        event.clear()
        return event

    yield begin
    for job_id, event in begun:
        listener.leave(job_id, event)
    assert wait_for(lambda: not Waiter.objects.exists())


def asking_for(job_id: str) -> tuple[threading.Thread, list[Any]]:
    """Ask for a result in a thread, which puts it into the list."""
    found: list[Any] = []

    def ask() -> None:
        found.append(AsyncResult(job_id).get(timeout=60, interval=60))
        connection.close()

    asking = threading.Thread(target=ask)
    asking.start()
    return asking, found


@pytest.mark.parametrize("kind", ["good", "dead"])
def test_the_end_of_a_job_that_somebody_waits_for_is_told(kind: str, awaited: Any) -> None:
    waiting = given.delay(kind).job
    event = awaited(waiting.id)
    deliver(waiting)
    assert event.wait(20)


def test_nothing_is_said_of_jobs_that_nobody_waits_for() -> None:
    heard: list[str] = []
    others = [given.delay("good").job, given.delay("dead").job]
    last = given.delay("good").job
    with closing(own_connection()) as database:
        raw: Any = database.connection
        raw.add_notify_handler(lambda notice: heard.append(notice.payload))
        waiters.listen(database)
        waiters.register(database, [last.id])
        for one in (*others, last):
            deliver(one)
        assert wait_for(lambda: rows(database, "SELECT 1") and heard)
    assert heard == [str(last.id)]


def test_who_waits_hears_of_the_end_though_his_connection_was_lost(awaited: Any, postgres: Postgres) -> None:
    waiting = given.delay("good").job
    event = awaited(waiting.id)
    noted = Waiter.objects.get().pk
    name = connection.settings_dict["NAME"]
    connection.close()
    postgres.disconnect_all(name)
    assert wait_for(lambda: Waiter.objects.exclude(pk=noted).exists(), 20)
    assert event.wait(20)
    event.clear()
    deliver(waiting)
    assert event.wait(20)


def test_get_returns_when_it_is_told_and_leaves_nothing_behind() -> None:
    waiting = given.delay("good")
    asking, found = asking_for(waiting.id)
    assert wait_for(lambda: Waiter.objects.filter(job_id=waiting.job.id).exists())
    deliver(waiting.job)
    asking.join(60)
    assert found == ["good"]
    assert wait_for(lambda: not Waiter.objects.exists())


def test_who_waits_for_a_job_that_was_replaced_waits_for_its_replacement() -> None:
    first = replaced.delay(1)
    asking, found = asking_for(first.id)
    assert wait_for(lambda: Waiter.objects.filter(job_id=first.job.id).exists())
    deliver(first.job)
    second = Job.objects.exclude(pk=first.job.id).get()
    assert wait_for(lambda: Waiter.objects.filter(job_id=second.id).exists())
    deliver(second)
    asking.join(60)
    assert found == [101]


def test_what_ends_at_once_is_not_worth_a_note() -> None:
    done = number.delay(1).job
    with Pauses(0.5) as pauses:
        pauses.pause(0.01, done.id)
        assert not Waiter.objects.exists()


def test_a_note_of_a_process_that_was_killed_goes_when_the_next_one_waits() -> None:
    old = Waiter.objects.create(job_id=uuid.uuid4())
    rows(connection, "UPDATE jobs_waiter SET created_at = created_at - interval '2 days'")
    with closing(own_connection()) as database:
        waiters.listen(database)
    assert not Waiter.objects.filter(pk=old.pk).exists()
