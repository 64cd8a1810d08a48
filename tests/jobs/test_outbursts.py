"""Whatever a task's code raises between claim and record is that attempt's recorded error; what comes later is not."""

import os
import pickle
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from celery import current_app, signals
from celery.app.trace import trace_task
from celery.exceptions import Ignore, Reject, Retry

from jobs.core.states import State
from jobs.models import Job
from jobs.worker.request import JobRequest
from jobs.worker.successes import OFFERED, Left
from jobs.worker.tracer import Told
from tests.jobs.delivery import deliver, delivery_of
from tests.tasks_app import hostile, tasks
from tests.tasks_app.effects import VARIABLE, Effects
from tests.tasks_app.hostile import OUTBURSTS, burst_out

pytestmark = pytest.mark.django_db

everything = pytest.mark.parametrize("how", OUTBURSTS)


@pytest.fixture(autouse=True)
def effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valkey: object) -> Effects:
    """What the tasks did. A job that gives up needs the broker for its letter."""
    effects = Effects(tmp_path / "effects")
    monkeypatch.setenv(VARIABLE, str(effects.path))
    return effects


@contextmanager
def receiver(name: str, how: str) -> Iterator[None]:
    """Have a receiver of one of Celery's signals raise meanwhile."""
    signal: Any = getattr(signals, name)

    def receive(**_: Any) -> None:
        burst_out(name, name, how)

    signal.connect(receive, weak=False)
    try:
        yield
    finally:
        signal.disconnect(receive)


def receiving(place: str, how: str) -> AbstractContextManager[None]:
    """Have a receiver raise meanwhile if this place is a signal."""
    return receiver(place, how) if place.startswith("task_") else nullcontext()


def _traced(task: Any, request: JobRequest) -> Any:
    """Return what a pool's process would, whose parent writes successes."""
    offered = {**request._request_dict, OFFERED: True}
    return trace_task(task, request.id, request.args, request.kwargs, offered, app=current_app)


def ends_dead(job: Job, how: str) -> None:
    """Assert that its only attempt failed with this error."""
    deliver(job)
    assert (job.state, job.attempt, job.worker_losses) == (State.DEAD, 1, 0)
    (attempt,) = job.attempts.all()
    assert how.split(maxsplit=1)[0] in f"{attempt.error_type} {attempt.error}"
    deliver(job)
    assert (job.state, job.attempts.count()) == (State.DEAD, 1)


@everything
@pytest.mark.parametrize("place", ["before_start", "body"])
def test_an_error_before_the_end_is_the_attempts(place: str, how: str, effects: Effects) -> None:
    ends_dead(hostile.outburst.delay(place=place, how=how).job, how)
    assert len(effects) == (place == "body")


@everything
def test_an_error_of_a_validator_is_the_attempts(how: str, monkeypatch: pytest.MonkeyPatch, effects: Effects) -> None:
    monkeypatch.setenv("CALLING", "")
    wild = hostile.Wild(place="validator", how=how)
    job = hostile.outburst_of_argument.delay(wild, place="validator", how=how).job
    monkeypatch.delenv("CALLING")
    ends_dead(job, how)
    assert len(effects) == 0


@everything
@pytest.mark.parametrize("place", ["before_start", "body"])
def test_an_error_of_a_batch_is_that_of_each_job(place: str, how: str) -> None:
    jobs = [hostile.outburst_of_batch.delay(place=place, how=how).job for _ in range(2)]
    deliver(jobs[0])
    for job in jobs:
        job.refresh_from_db()
        assert (job.state, job.attempt, job.attempts.count()) == (State.DEAD, 1, 1)
        assert how.split(maxsplit=1)[0] in job.last_error


# pytest's own handler of logs lets through what `logging` swallows: Celery logs errors of receivers with their `repr`.
@pytest.mark.parametrize("how", sorted(OUTBURSTS.keys() - {"Unspeakable"}))
def test_an_error_of_a_receiver_before_the_body_takes_nothing_with_it(how: str, effects: Effects) -> None:
    job = hostile.outburst.delay(place="nowhere", how=how).job
    with receiver("task_prerun", how):
        deliver(job)
    if isinstance(OUTBURSTS[how](), Exception):
        # Celery logs it, and goes on.
        assert (job.state, len(effects)) == (State.SUCCEEDED, 1)
    else:
        assert (job.state, job.attempt, len(effects)) == (State.DEAD, 1, 0)
        assert how in job.last_error


@everything
@pytest.mark.parametrize("place", ["result", "on_success", "after_return", "task_success", "task_postrun"])
def test_a_success_stands_whatever_is_raised_after_it(place: str, how: str, effects: Effects) -> None:
    job = hostile.outburst.delay(place=place, how=how).job
    with receiving(place, how):
        deliver(job)
    assert (job.state, job.attempt, job.last_error) == (State.SUCCEEDED, 1, "")
    deliver(job)
    assert len(effects) == 1


@everything
@pytest.mark.parametrize("place", ["result", "task_success", "task_postrun"])
def test_a_success_is_left_to_the_parent_process_whatever_is_raised_after_it(place: str, how: str) -> None:
    request = delivery_of(hostile.outburst_of_result.delay(place=place, how=how).job)
    with receiving(place, how):
        traced = _traced(hostile.outburst_of_result, request)
    assert traced.info is None
    assert (type(traced.retstr), traced.retstr.attempt) == (Left, 1)


@everything
@pytest.mark.parametrize("place", ["body", "before_start", "on_failure"])
def test_what_became_of_an_attempt_can_be_read_in_the_parent_process(place: str, how: str) -> None:
    request = delivery_of(hostile.outburst.delay(place=place, how=how).job)
    request._request_dict["parent_pid"] = os.getppid()
    info = pickle.loads(pickle.dumps(_traced(hostile.outburst, request).retval))  # noqa: S301 (as the pool does)
    expected = MemoryError if how == "MemoryError" else Told
    assert type(info.exception) is expected
    assert info.type is expected


@pytest.mark.parametrize(
    "how, expected", [("retry", Retry), ("snooze", Retry), ("ignore", Ignore), ("reject", Reject), ("cancel", Ignore)]
)
def test_what_steers_a_job_is_read_as_such_in_the_parent_process(how: str, expected: type[Exception]) -> None:
    options: dict[str, dict[str, Any]] = {"snooze": {"seconds": 5}, "reject": {"requeue": False}}
    request = delivery_of(tasks.steer.delay(how, **options.get(how, {})).job)
    request._request_dict["parent_pid"] = os.getppid()
    info = pickle.loads(pickle.dumps(_traced(tasks.steer, request).retval))  # noqa: S301 (as the pool does)
    assert type(info.exception) is expected


@pytest.mark.parametrize("place", ["on_success", "after_return"])
def test_a_success_that_handlers_follow_is_written_before_they_are_called(place: str) -> None:
    """They might hang until the time limit, or kill their process."""
    job = hostile.outburst.delay(place=place, how="Odd").job
    traced = _traced(hostile.outburst, delivery_of(job))
    job.refresh_from_db()
    assert (job.state, traced.info, type(traced.retstr)) == (State.SUCCEEDED, None, str)


@everything
@pytest.mark.parametrize("place", ["on_failure", "task_failure"])
def test_a_failure_stands_whatever_is_raised_after_it(place: str, how: str, effects: Effects) -> None:
    job = hostile.outburst.delay(place="on_failure" if place == "on_failure" else "body", how=how).job
    with receiver("task_failure", how):
        deliver(job)
    assert (job.state, job.attempt, job.attempts.count()) == (State.DEAD, 1, 1)
    assert len(effects) == 1


@everything
@pytest.mark.parametrize("place", ["on_retry", "task_retry"])
def test_a_retry_stands_whatever_is_raised_after_it(place: str, how: str, effects: Effects) -> None:
    job = hostile.outburst_again.delay(place="on_retry" if place == "on_retry" else "body", how="Odd").job
    with receiver("task_retry", how):
        deliver(job)
    assert (job.state, job.attempt, job.attempts.count()) == (State.RETRYING, 1, 1)
    assert "Odd" in job.last_error
    assert len(effects) == 1
