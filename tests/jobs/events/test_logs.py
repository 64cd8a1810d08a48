"""What a task logs, to those who watch it while it runs."""

import asyncio
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.core.states import State
from jobs.events.hub import hub
from jobs.events.logs import LogTail
from jobs.models import AttemptLog, Job
from jobs.operations import tokens
from tests.jobs.events.server import write
from tests.jobs.events.test_view import ADDRESS, Listener, listen
from tests.jobs.people import operator
from tests.jobs.rows import in_state

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def token() -> str:
    """A token that may read."""
    return tokens.create("reader", ["read"], by="tests")[1]


def logs(job: Job, text: str) -> AttemptLog:
    """Have a job log something, as its worker writes it down."""
    return AttemptLog.objects.create(job_id=job.pk, number=1, at=timezone.now(), text=text)


async def told(listener: Listener, count: int) -> list[tuple[str, str]]:
    """Return name and text of the next events."""
    found: list[dict[str, Any]] = [await listener.event() for _ in range(count)]
    return [(one["event"], one["data"]["text"]) for one in found]


def test_who_watches_a_job_is_told_what_it_has_logged_and_then_what_it_logs(token: str) -> None:
    job, other = in_state(State.RUNNING), in_state(State.RUNNING)
    logs(job, "one")

    async def then(listener: Listener) -> None:
        assert await told(listener, 1) == [("log", "one")]
        await write(logs, other, "not this one's")
        await write(logs, job, "two\nand <three>")
        assert await told(listener, 1) == [("log", "two\nand <three>")]

    listen(token, then, f"job={job.pk}&logs=1")


def test_two_who_watch_one_job_are_each_told_everything(token: str) -> None:
    job = in_state(State.RUNNING)
    logs(job, "one")

    async def then(first: Listener) -> None:
        assert await told(first, 1) == [("log", "one")]
        await write(logs, job, "two")
        assert await told(first, 1) == [("log", "two")]

        async def second(listener: Listener) -> None:
            assert await told(listener, 2) == [("log", "one"), ("log", "two")]
            await write(logs, job, "three")
            assert await told(listener, 1) == [("log", "three")]
            assert await told(first, 1) == [("log", "three")]

        await beside(token, f"job={job.pk}&logs=1", second)

    listen(token, then, f"job={job.pk}&logs=1")


async def beside(token: str, query: str, then: Any) -> None:
    """Open another stream in the same process."""
    from django.test import AsyncClient  # noqa: PLC0415 (here alone)

    answer: Any = await AsyncClient().get(f"{ADDRESS}?{query}", headers={"Authorization": f"Bearer {token}"})
    pieces = aiter(answer)
    listener = Listener(pieces)
    try:
        await asyncio.wait_for(listener.opened.wait(), 20)
        await then(listener)
    finally:
        await listener.leave()
        await pieces.aclose()


def test_a_job_with_a_long_log_holds_up_no_other() -> None:
    talks, quiet = in_state(State.RUNNING), in_state(State.RUNNING)
    logs(quiet, "before")
    tail = LogTail()
    assert tail.read({talks.pk, quiet.pk}) == {}
    AttemptLog.objects.bulk_create(
        AttemptLog(job_id=talks.pk, number=1, at=timezone.now(), text=f"line {number}") for number in range(1_200)
    )
    logs(quiet, "after")
    found = b"".join(piece for _ in range(4) for piece in tail.read({talks.pk, quiet.pk}).values())
    assert found.count(b"event: log") == 1_201
    assert tail.read({talks.pk, quiet.pk}) == {}


def test_nobody_who_watches_costs_nothing() -> None:
    logs(in_state(State.RUNNING), "to nobody")
    with CaptureQueriesContext(connection) as asked:
        hub._tell_of_logs()
    assert len(asked) == 0


@pytest.mark.parametrize("query", ["logs=1", "logs=1&ticks=1&job=0199f0c2-a1b2-7c3d-8e4f-5a6b7c8d9e0f", "logs=yes"])
def test_logs_are_told_of_named_jobs_only(query: str, token: str) -> None:
    answer = Client().get(f"{ADDRESS}?{query}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 422
    assert "logs" in answer.text


def test_the_page_of_a_job_listens_to_its_log() -> None:
    job = in_state(State.RUNNING)
    client = operator()
    assert f'data-events="/api/events?job={job.pk}&amp;logs=1"' in client.get(f"/jobs/{job.pk}/").text
