"""CELERY_TASK_ALWAYS_EAGER: a project's own tests run every kind of task at once, without a row."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app

from jobs import Batch, InvalidArguments, InvalidOption, job
from jobs.models import Job

seen: list[Any] = []


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    seen.clear()
    current_app.conf.task_always_eager = True
    yield
    current_app.conf.task_always_eager = False


@job(name="tests.eager.plain")
def plain(word: str) -> str:
    seen.append(word)
    return word


@job(name="tests.eager.coroutine")
async def coroutine(word: str) -> str:
    seen.append(word)
    return word


@job(name="tests.eager.batch", batch=3)
def in_a_batch(batch: Batch[str]) -> None:
    for item in batch:
        seen.append(item.value)
        if item.value == "bad":
            item.fail(ValueError("bad"))


@pytest.mark.parametrize("task", [plain, coroutine])
@pytest.mark.django_db
def test_a_task_runs_at_the_call(task: Any) -> None:
    assert task.delay("a").get() == "a"
    assert seen == ["a"]
    assert not Job.objects.exists()


@pytest.mark.django_db
def test_many_run_at_the_call_in_their_order() -> None:
    results = plain.delay_many([["a"], {"word": "b"}], countdown=5)
    assert [result.get() for result in results] == seen == ["a", "b"]
    assert not Job.objects.exists()


def test_the_jobs_of_a_batch_task_run_and_fail_one_by_one() -> None:
    good, bad = in_a_batch.delay_many([["good"], ["bad"]])
    assert seen == ["good", "bad"]
    assert good.successful()
    with pytest.raises(ValueError, match="bad"):
        bad.get()


def test_what_a_call_would_refuse_is_refused() -> None:
    with pytest.raises(InvalidArguments):
        plain.delay("a", "b")  # type: ignore[call-arg]
    with pytest.raises(InvalidOption):
        plain.apply_async(["a"], nonsense=1)  # type: ignore[call-arg]
    assert seen == []


def test_an_eager_call_may_say_whether_errors_are_raised() -> None:
    result: Any = plain.apply_async((1,), throw=True)
    assert result.successful()
