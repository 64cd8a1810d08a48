"""`@job async def` runs; a function that would do nothing when called is refused."""

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from billiard.pool import soft_timeout_sighandler
from celery import current_task
from django.db import connection

from jobs import Batch, InvalidOption, JobTask, Permanent, job, progress
from jobs.core.states import State
from jobs.models import Job
from tests.jobs.delivery import deliver
from tests.servers import Valkey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

seen: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_seen(valkey: Valkey) -> None:
    seen.clear()


@job(bind=True, name="tests.coroutine", max_retries=2)
async def coroutine(self: JobTask, word: str) -> str:
    await asyncio.sleep(0)
    seen.append((word, self.request.retries, current_task.request.id, threading.current_thread()))
    if word == "fail":
        raise ValueError(word)
    return word


@job(name="tests.coroutine.orm")
async def with_orm() -> None:
    seen.append(await Job.objects.filter(task="tests.coroutine.orm").acount())
    seen.append(await sync_to_async(lambda: connection.connection)())


@job(name="tests.coroutine.progress")
async def reporting() -> None:
    progress(1, 2, "half of it")
    seen.append((await Job.objects.aget(task="tests.coroutine.progress")).progress)
    progress(2, 2, "all of it")


@job(name="tests.coroutine.enqueues")
async def enqueuing() -> None:
    await sync_to_async(coroutine.delay)("child")


@job(name="tests.coroutine.batch", batch=10)
async def in_a_batch(batch: Batch[str]) -> None:
    await asyncio.sleep(0)
    seen.extend(item.value for item in batch)


@job(name="tests.coroutine.batch.fails", batch=10, max_retries=2)
async def failing_batch(batch: Batch[str]) -> None:
    await asyncio.sleep(0)
    for item in batch:
        if item.value == "bad":
            item.fail(Permanent("bad one"))
    if any(item.value == "all" for item in batch):
        raise ValueError("none of them")
    if any(item.value == "slow" for item in batch):
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.sleep(30)


@job(name="tests.coroutine.returns", ignore_result=False)
async def returning(what: str) -> Any:
    await asyncio.sleep(0)
    makers = {"object": object, "generator": lambda: (one for one in "ab"), "coroutine": reporting.run}
    return makers[what]()


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Hide, as decorators do, that a function is a coroutine function."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


@job(name="tests.coroutine.wrapped")
@wrapped
async def decorated() -> None:
    await asyncio.sleep(0)
    seen.append("decorated")


@job(name="tests.generator.hidden")
def hiding() -> Iterator[int]:
    return (number for number in range(3))


def test_a_coroutine_runs_with_its_request_in_the_thread_of_its_job() -> None:
    result = coroutine.delay("a")
    assert deliver(result.job) is not None
    assert seen == [("a", 0, result.id, threading.current_thread())]
    assert result.job.state == State.SUCCEEDED


def test_what_it_raises_is_the_attempts_error() -> None:
    result = coroutine.delay("fail")
    deliver(result.job)
    assert (result.job.state, result.job.last_error) == (State.RETRYING, "ValueError: fail")


def test_the_database_is_at_hand_and_its_connection_closed_after_it() -> None:
    result = with_orm.delay()
    deliver(result.job)
    assert result.job.state == State.SUCCEEDED, result.job.last_error
    count, opened = seen
    assert count == 1
    assert opened.closed if connection.vendor == "postgresql" else opened is not None


def test_a_batch_may_be_a_coroutine() -> None:
    in_a_batch.delay_many([["a"], ["b"]])
    deliver(Job.objects.first() or pytest.fail("no job"))
    assert sorted(seen) == ["a", "b"]


@pytest.mark.parametrize(
    "words, ends",
    [
        (["a", "bad"], [(State.SUCCEEDED, ""), (State.DEAD, "Permanent: bad one")]),
        (["a", "all"], [(State.RETRYING, "ValueError: none of them")] * 2),
        (["bad", "all"], [(State.DEAD, "Permanent: bad one"), (State.RETRYING, "ValueError: none of them")]),
        (["a", "slow"], [(State.RETRYING, "SoftTimeLimitExceeded: SoftTimeLimitExceeded()")] * 2),
    ],
)
@pytest.mark.usefixtures("soft_limit")
def test_what_a_coroutine_says_of_a_batch_is_each_jobs_end(words: list[str], ends: list[tuple[State, str]]) -> None:
    rows = [result.job for result in failing_batch.delay_many([[word] for word in words])]
    deliver(rows[0])
    rows = [Job.objects.get(pk=row.pk) for row in rows]
    assert [(row.state, row.last_error, row.attempt) for row in rows] == [(*end, 1) for end in ends]


@pytest.mark.parametrize(
    "what, says",
    [
        ("object", "NoResult: The result cannot be kept: it cannot be written as JSON"),
        ("generator", "returned a generator, whose body nobody runs"),
        ("coroutine", "returned the coroutine reporting(), which nobody awaits"),
    ],
)
def test_what_a_coroutine_returns_in_vain_ends_its_job(what: str, says: str) -> None:
    row = returning.delay(what).job
    deliver(row)
    assert row.state == State.DEAD
    assert says in row.last_error


def test_a_coroutine_behind_a_decorator_runs_too() -> None:
    result = decorated.delay()
    deliver(result.job)
    assert (seen, result.job.state) == (["decorated"], State.SUCCEEDED)


def test_called_directly_it_is_an_ordinary_coroutine() -> None:
    assert asyncio.run(decorated()) is None
    assert seen == ["decorated"]


def generator(word: str) -> Iterator[str]:
    yield word


async def async_generator(word: str) -> AsyncIterator[str]:
    yield word


@pytest.mark.parametrize("function", [generator, async_generator, wrapped(generator)], ids=["sync", "async", "wrapped"])
def test_a_generator_function_is_refused_where_it_is_declared(function: Callable[..., Any]) -> None:
    with pytest.raises(InvalidOption, match=r"generator is a generator function, whose body nobody would run"):
        job(function)


def test_a_generator_that_only_its_call_reveals_is_dead_and_says_so() -> None:
    result = hiding.delay()
    deliver(result.job)
    assert result.job.state == State.DEAD
    assert "returned a generator, whose body nobody runs" in result.job.last_error


def test_a_coroutine_says_how_far_it_is() -> None:
    row = reporting.delay().job
    deliver(row)
    assert row.state == State.SUCCEEDED, row.last_error
    assert seen == [{"done": 1, "total": 2, "message": "half of it"}]
    assert row.progress == {"done": 2, "total": 2, "message": "all of it"}


def test_a_coroutine_enqueues_its_children() -> None:
    row = enqueuing.delay().job
    deliver(row)
    assert Job.objects.get(task="tests.coroutine").parent_id == row.pk


@job(name="tests.coroutine.busy", max_retries=2)
async def busy(catches: bool) -> str:
    """Wait beside another coroutine that takes all the time there is, until the soft limit comes."""

    async def spin() -> None:
        while True:  # noqa: ASYNC110 (it shall take time)
            await asyncio.sleep(0)

    spinning = asyncio.create_task(spin())
    os.kill(os.getpid(), signal.SIGUSR1)
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        if not catches:
            raise
    finally:
        spinning.cancel()
    return "tidied up"


@pytest.fixture
def soft_limit() -> Iterator[None]:
    """What a pool process does with the signal of a soft limit."""
    earlier = signal.signal(signal.SIGUSR1, soft_timeout_sighandler)
    yield
    assert signal.signal(signal.SIGUSR1, earlier) is soft_timeout_sighandler


@pytest.mark.usefixtures("soft_limit")
@pytest.mark.parametrize("catches, state", [(False, State.RETRYING), (True, State.SUCCEEDED)])
def test_a_soft_limit_cancels_the_coroutine_whatever_else_runs_in_its_loop(catches: bool, state: State) -> None:
    for _ in range(10):
        result = busy.delay(catches)
        deliver(result.job)
        assert result.job.state == state
        assert result.job.last_error.startswith("" if catches else "SoftTimeLimitExceeded")
