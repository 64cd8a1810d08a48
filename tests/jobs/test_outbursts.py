"""Whatever a task's code raises between claim and record is that attempt's recorded error; what comes later is not."""

import pickle
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from celery import signals

from jobs.core.states import State
from jobs.models import Job
from tests.jobs.delivery import InThisProcess, deliver
from tests.tasks_app import hostile
from tests.tasks_app.effects import VARIABLE, Effects
from tests.tasks_app.hostile import OUTBURSTS, burst_out

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

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
@pytest.mark.parametrize("place", ["body", "before_start", "on_failure", "result"])
def test_what_became_of_an_attempt_can_be_read_in_the_parent_process(place: str, how: str) -> None:
    worker = InThisProcess()
    reported = worker.run(*worker.claim(hostile.outburst.delay(place=place, how=how).job.pk))
    assert reported
    assert pickle.loads(pickle.dumps(reported)) == reported  # noqa: S301 (as the pool's processes do)


@pytest.mark.parametrize("place", ["result", "on_success", "after_return", "task_success", "on_failure"])
def test_an_end_is_reported_before_anything_else_is_called(place: str) -> None:
    """That might hang until the time limit, or kill its process."""
    reported: list[int] = []
    worker = InThisProcess()

    def look(**_: Any) -> None:
        reported.append(len(worker.reports))

    taken = worker.claim(hostile.outburst.delay(place=place, how="Odd").job.pk)
    signals.task_postrun.connect(look, weak=False)
    try:
        with receiving(place, "Odd"):
            worker.run(*taken)
    finally:
        signals.task_postrun.disconnect(look)
    assert reported == [1]
    assert len(worker.reports) == 1


@everything
def test_a_job_of_a_chunk_costs_those_after_it_nothing(how: str) -> None:
    jobs = [hostile.outburst.delay(place=place, how=how).job for place in ("body", "result", "on_success", "nowhere")]
    InThisProcess().deliver_chunk(*[job.pk for job in jobs])
    assert [Job.objects.get(pk=job.pk).state for job in jobs] == [State.DEAD, *[State.SUCCEEDED] * 3]


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
