"""Django Tasks run as jobs: `.enqueue()` writes a row, a worker runs it, `get_result()` tells what became of it."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import FunctionType
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from celery import current_app
from django.db import transaction
from django.test import override_settings
from django.utils import timezone
from hypothesis import given, strategies

from jobs import InvalidArguments, InvalidOption
from jobs.core.states import State
from jobs.django_tasks.framework import InvalidTask, InvalidTaskBackend, TaskResultDoesNotExist
from jobs.django_tasks.priority import ledger_priority
from jobs.models import Job
from jobs.operations.actions import retry_jobs
from jobs.operations.filters import JobFilter
from tests.jobs.delivery import deliver
from tests.servers import Valkey
from tests.tasks_app import django_tasks as tasks
from tests.tasks_app.tasks import noop
from tests.tasks_app.tasks_framework import (
    Task,
    TaskResult,
    TaskResultStatus,
    default_task_backend,
    task,
    task_backends,
    task_enqueued,
    task_finished,
    task_started,
)

pytestmark = pytest.mark.django_db(transaction=True)

LEDGER = "jobs.django_tasks.LedgerBackend"


@pytest.fixture(autouse=True)
def broker(valkey: Valkey) -> None:
    """Letters of dead jobs go there."""


@pytest.fixture
def told() -> Iterator[list[tuple[str, str]]]:
    """What the framework's signals tell: which one, and the status then."""
    heard: list[tuple[str, str]] = []
    receivers = []
    for name, signal in (("enqueued", task_enqueued), ("started", task_started), ("finished", task_finished)):

        def receive(task_result: Any, name: str = name, **_: Any) -> None:
            heard.append((name, str(task_result.status)))

        signal.connect(receive)
        receivers.append((signal, receive))
    yield heard
    for signal, receive in receivers:
        signal.disconnect(receive)


def job_of(result: Any) -> Job:
    return Job.objects.get(pk=result.id)


def test_an_enqueued_task_is_a_job_with_its_arguments_queue_and_time() -> None:
    at = timezone.now() + timedelta(hours=1)
    result = tasks.note.using(run_after=at, priority=-3).enqueue("here")
    job = job_of(result)
    assert (job.task, job.args, job.kwargs) == ("tests.tasks_app.django_tasks.note", ["here"], {})
    assert (job.queue, job.priority, job.state, job.run_at) == ("tests.other", 4, State.SCHEDULED, at)
    assert result.status == TaskResultStatus.READY
    assert result == tasks.note.get_result(result.id)
    assert (result.task.priority, result.task.run_after) == (-3, at)


def test_what_a_task_returned_is_its_results_value() -> None:
    result = tasks.add.enqueue(1, right=2)
    assert not result.is_finished
    deliver(job_of(result))
    result.refresh()
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, 3)
    assert (result.attempts, result.worker_ids, result.errors) == (1, ["worker@test"], [])
    assert result.enqueued_at
    assert result.started_at
    assert result.finished_at
    assert result.enqueued_at <= result.started_at <= result.finished_at


def test_a_coroutine_is_enqueued_run_and_asked_for_from_coroutines() -> None:
    result: TaskResult[Any] = async_to_sync(tasks.add_later.aenqueue)(20, 22)
    deliver(job_of(result))
    async_to_sync(result.arefresh)()
    assert result.return_value == 42
    assert async_to_sync(tasks.add_later.aget_result)(result.id) == result


def test_nothing_is_enqueued_by_a_transaction_that_is_rolled_back() -> None:
    with transaction.atomic():
        tasks.add.enqueue(1)
        transaction.set_rollback(True)
    assert not Job.objects.exists()


def test_the_signals_tell_of_each_step(told: list[tuple[str, str]]) -> None:
    deliver(job_of(tasks.add.enqueue(1)))
    assert told == [("enqueued", "READY"), ("started", "RUNNING"), ("finished", "SUCCESSFUL")]


def test_a_task_that_fails_is_ready_again_until_its_retries_are_used_up(told: list[tuple[str, str]]) -> None:
    result = tasks.fail.enqueue("no luck")
    deliver(job_of(result))
    result.refresh()
    assert result.status == TaskResultStatus.READY
    assert [error.exception_class for error in result.errors] == [ValueError]
    assert "no luck" in result.errors[0].traceback
    assert told[-1] == ("started", "RUNNING")


def test_a_task_that_gives_up_has_failed_with_a_dead_letter(told: list[tuple[str, str]]) -> None:
    with override_settings(TASKS={"default": {"BACKEND": LEDGER, "QUEUES": [], "OPTIONS": {"max_retries": 0}}}):
        result = tasks.fail.enqueue("no luck")
        deliver(job_of(result))
        result.refresh()
        assert result.status == TaskResultStatus.FAILED
        with pytest.raises(ValueError, match="Task failed"):
            _ = result.return_value
    assert job_of(result).state == State.DEAD
    assert told[-1] == ("finished", "FAILED")


def test_a_replayed_task_forgets_the_value_of_before() -> None:
    result = tasks.add.enqueue(1)
    deliver(job_of(result))
    retry_jobs(JobFilter(ids=(uuid.UUID(result.id),)), actor="ann")
    result.refresh()
    assert (result.status, job_of(result).result) == (TaskResultStatus.READY, None)


@pytest.mark.parametrize(
    "kind,says",
    [
        ("lambda", f"TypeError: Unsupported type: {Task}"),
        ("text", "NoResult: The result cannot be kept: it has 3.0 MB; the limit is 1.0 MB (JOBS_MAX_RESULT_BYTES)"),
        ("surrogate", "NoResult: The result cannot be kept: it holds a lone surrogate"),
    ],
)
def test_a_value_that_cannot_be_kept_is_the_attempts_error_and_not_tried_again(kind: str, says: str) -> None:
    job = job_of(tasks.give_back.enqueue(kind))
    deliver(job)
    assert job.state == State.DEAD
    result = tasks.give_back.get_result(str(job.pk))
    assert result.status == TaskResultStatus.FAILED
    assert says in job.last_error


def test_a_value_is_kept_as_json_has_it() -> None:
    result = tasks.give_back.enqueue("tuple")
    deliver(job_of(result))
    result.refresh()
    assert result.return_value == [1, "two"]


@pytest.mark.parametrize("argument", [datetime.now(), object(), {1, 2}, b"\xff"])
def test_arguments_that_are_no_json_are_refused_at_the_call(argument: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="Unsupported"):
        tasks.add.enqueue(argument)
    assert not Job.objects.exists()


@pytest.mark.parametrize("argument", [float("nan"), "\x00", "\ud800"])
def test_arguments_that_no_database_holds_are_refused_at_the_call(argument: Any) -> None:
    with pytest.raises(InvalidArguments):
        tasks.add.enqueue(argument)
    assert not Job.objects.exists()


def test_arguments_that_do_not_fit_are_refused_at_the_call() -> None:
    with pytest.raises(InvalidArguments, match="do not fit"):
        tasks.add.enqueue()  # type: ignore[call-arg]
    # The context is given by the worker.
    with pytest.raises(InvalidArguments, match="do not fit"):
        tasks.fail_twice.enqueue("effect", "more")  # type: ignore[call-arg]
    assert not Job.objects.exists()


@pytest.mark.parametrize("result_id", ["nobody", "", 123, str(uuid.UUID(int=1))])
def test_an_id_that_nobody_has_is_said_to_be_none(result_id: Any) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        default_task_backend.get_result(result_id)


def test_a_job_of_ours_is_no_result_of_django_tasks() -> None:
    job = noop.delay().job
    with pytest.raises(TaskResultDoesNotExist, match=r"the job is of tests\.tasks_app\.tasks\.noop"):
        default_task_backend.get_result(str(job.pk))


def test_a_result_is_its_own_backends() -> None:
    with override_settings(TASKS={alias: {"BACKEND": LEDGER, "QUEUES": []} for alias in ("default", "other")}):
        result = tasks.add.using(backend="other").enqueue(1)
        assert task_backends["other"].get_result(result.id) == result
        with pytest.raises(TaskResultDoesNotExist):
            task_backends["default"].get_result(result.id)


def test_a_result_is_told_though_the_settings_forbid_its_queue_by_now() -> None:
    result = tasks.note.enqueue("here")
    with override_settings(TASKS={"default": {"BACKEND": LEDGER, "QUEUES": ["default"]}}):
        assert default_task_backend.get_result(result.id).task.queue_name == "tests.other"


def test_a_queue_that_no_worker_knows_is_refused_at_the_call() -> None:
    with pytest.raises(InvalidOption, match="is not known"):
        tasks.add.using(queue_name="nobodys").enqueue(1)


@pytest.mark.parametrize("name", ["a b", "email.dead", ""])
def test_a_queue_that_can_be_none_is_refused_where_it_is_named(name: str) -> None:
    with pytest.raises(InvalidTask, match="queue_name="):
        tasks.add.using(queue_name=name)


def generator() -> Iterator[int]:
    yield 1


def test_a_generator_function_is_refused() -> None:
    with pytest.raises(InvalidTask, match="generator function"):
        task(generator)


def twin() -> None:
    """Have a path."""


def test_two_functions_of_one_path_are_refused() -> None:
    task(twin)
    other = FunctionType(twin.__code__, twin.__globals__, twin.__name__)
    other.__module__ = twin.__module__
    with pytest.raises(InvalidTask, match="two functions have this path"):
        task(other)


@pytest.mark.parametrize(
    "settings,says",
    [
        ({"OPTIONS": {"max_retry": 1}}, "OPTIONS has no max_retry. It takes: expires, max_retries"),
        ({"QUEUES": ["email.dead"]}, "QUEUES names 'email.dead'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], says: str) -> None:
    with override_settings(TASKS={"default": {"BACKEND": LEDGER, **settings}}), pytest.raises(InvalidTaskBackend) as it:
        task_backends["default"].check()
    assert says in str(it.value)


def test_always_eager_runs_a_task_at_once_without_a_job() -> None:
    current_app.conf.task_always_eager = True
    try:
        result = tasks.add.using(run_after=timezone.now()).enqueue(40, 2)
    finally:
        current_app.conf.task_always_eager = False
    assert result.return_value == 42
    assert not Job.objects.exists()


def test_a_task_says_all_that_the_backend_can() -> None:
    backend = default_task_backend
    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_get_result
    assert backend.supports_priority
    assert isinstance(tasks.add, Task)


@given(strategies.integers(-100, 100), strategies.integers(-100, 100))
def test_a_higher_priority_is_never_a_lower_one_of_the_ledger(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert 0 <= ledger_priority(low) <= ledger_priority(high) <= 9
    assert (ledger_priority(one) > 5) == (one > 0)
    assert (ledger_priority(one) < 5) == (one < 0)
