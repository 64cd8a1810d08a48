"""One attempt, delivered to the worker's code: what the task does decides what becomes of the job."""

import re
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app, signals
from django.utils import timezone

from jobs.core.job_ids import ledger_id
from jobs.core.outcome import Released
from jobs.core.states import State
from jobs.models import Job
from tests.jobs import verbs
from tests.jobs.delivery import InThisProcess, deliver
from tests.jobs.rows import LEASE
from tests.tasks_app import effects as effects_of, tasks
from tests.tasks_app.effects import VARIABLE, Effects

pytestmark = pytest.mark.django_db


@pytest.fixture
def effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Effects:
    """What the tasks did."""
    effects = Effects(tmp_path / "effects")
    monkeypatch.setenv(VARIABLE, str(effects.path))
    return effects


@pytest.fixture(autouse=True)
def letters(valkey: object) -> None:
    """A job that gives up needs the broker for its letter."""


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What Celery said of tasks, as Flower and other listeners hear it."""
    heard: list[str] = []
    receivers: dict[Any, Callable[..., None]] = {
        signals.task_success: lambda **_: heard.append("success"),
        signals.task_failure: lambda **_: heard.append("failure"),
        signals.task_retry: lambda **_: heard.append("retry"),
    }
    for signal, receiver in receivers.items():
        signal.connect(receiver, weak=False)
    yield heard
    for signal, receiver in receivers.items():
        signal.disconnect(receiver)


def steered(how: str, **options: Any) -> Job:
    job: Job = tasks.steer.delay(how, **options).job
    deliver(job)
    return job


def seconds_until(moment: Any) -> float:
    return float((moment - timezone.now()).total_seconds())


def test_a_job_that_returns_has_succeeded(heard: list[str]) -> None:
    job = steered("return")
    assert (job.state, job.attempt, job.worker) == (State.SUCCEEDED, 1, "worker@test")
    assert heard == ["success"]


def test_a_message_delivered_again_runs_nothing(effects: Effects, heard: list[str]) -> None:
    job = tasks.note.delay("once").job
    for _ in range(3):
        deliver(job)
    assert effects.lines() == ["once"]
    assert heard == ["success"]


def test_a_job_that_is_taken_is_not_run(effects: Effects) -> None:
    job = tasks.note.delay("elsewhere").job
    verbs.claim(job.id, lease_id=LEASE, lease_seconds=60, worker="other")
    deliver(job)
    assert effects.lines() == []
    assert (job.state, job.worker) == (State.RUNNING, "other")


def test_a_dispatched_job_that_was_pruned_is_not_brought_back(effects: Effects) -> None:
    job = tasks.note.delay("pruned").job
    Job.objects.all().delete()
    assert InThisProcess().deliver(job.pk) == []
    assert effects.lines() == []
    assert not Job.objects.exists()


def test_an_error_is_retried_after_the_back_off_and_told_to_celery_as_a_retry(heard: list[str]) -> None:
    job = steered("fail")
    assert (job.state, job.attempt, job.last_error) == (State.RETRYING, 1, "Broken: it failed")
    attempt = job.attempts.get()
    assert 0.5 <= (job.run_at - attempt.finished_at).total_seconds() <= 1.1
    assert 'raise Broken("it failed")' in attempt.traceback
    assert heard == ["retry"]


def test_each_attempt_is_kept_until_the_job_gives_up(heard: list[str]) -> None:
    job = tasks.steer.delay("fail").job
    for _ in range(6):
        deliver(job)
        # Its time has come.
        Job.objects.filter(pk=job.pk, state=State.RETRYING).update(state=State.QUEUED)
    assert (job.state, job.attempt) == (State.DEAD, 6)
    assert [attempt.outcome for attempt in job.attempts.all()] == ["retrying"] * 5 + ["dead"]
    assert heard == ["retry"] * 5 + ["failure"]


def test_a_task_sees_how_often_it_was_tried(effects: Effects) -> None:
    job = tasks.flaky.delay("f", failures=2).job
    for _ in range(3):
        deliver(job)
        Job.objects.filter(pk=job.pk, state=State.RETRYING).update(state=State.QUEUED)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 3)
    assert effects.count("f") == 3


@pytest.mark.parametrize("error, state", [("OSError", "retrying"), ("TimeoutError", "dead"), ("ValueError", "dead")])
def test_only_errors_named_for_it_are_retried(error: str, state: str) -> None:
    job = tasks.picky.delay(error).job
    deliver(job)
    assert job.state == state


@pytest.mark.parametrize("how, words", [("exit", r"SystemExit\(3\)"), ("be cancelled", r"CancelledError\(\)")])
def test_what_would_end_a_thread_is_an_error_of_the_task(how: str, words: str) -> None:
    job = tasks.escaping.delay(how).job
    deliver(job)
    assert job.state == State.RETRYING
    assert re.search(words, job.last_error)


def test_a_permanent_error_is_dead_at_once(heard: list[str]) -> None:
    job = steered("permanent")
    assert (job.state, job.attempt, job.last_error) == (State.DEAD, 1, "Permanent: no retry can mend it")
    assert heard == ["failure"]


def test_a_snooze_costs_no_attempt(heard: list[str]) -> None:
    job = steered("snooze", seconds=100, reason="the breaker is open")
    assert (job.state, job.attempt, job.attempts.count()) == (State.SCHEDULED, 0, 0)
    assert 90 < seconds_until(job.run_at) < 100.01
    assert "the breaker is open" in job.last_error
    assert heard == ["retry"]


def test_a_job_no_longer_wanted_is_cancelled(heard: list[str]) -> None:
    job = steered("cancel")
    assert (job.state, job.last_error) == (State.CANCELLED, "Cancel: no longer wanted")
    assert heard == []


def test_celerys_ignore_means_that_the_task_has_dealt_with_it(heard: list[str]) -> None:
    assert steered("ignore").state == State.SUCCEEDED
    assert heard == []


def test_celerys_reject_gives_up_or_puts_back() -> None:
    assert steered("reject", requeue=False).state == State.DEAD
    back = steered("reject", requeue=True)
    assert (back.state, back.attempt) == (State.SCHEDULED, 0)
    # One that does so always must leave the worker something for others.
    assert seconds_until(back.run_at) > 0.5


def test_retry_waits_as_long_as_it_says() -> None:
    job = steered("retry", countdown=100)
    assert job.state == State.RETRYING
    assert 90 < seconds_until(job.run_at) < 100.01


def test_retry_without_a_time_waits_as_the_back_off_says() -> None:
    job = steered("retry")
    assert 0.5 <= (job.run_at - job.attempts.get().finished_at).total_seconds() <= 1.1


def test_retry_keeps_the_error_it_was_called_for() -> None:
    job = steered("retry because", countdown=1)
    assert job.last_error == "Broken: it failed"
    assert job.attempts.get().error_type == "Broken"


def test_retry_beyond_its_own_limit_gives_up_with_the_error_it_was_called_for(heard: list[str]) -> None:
    job = steered("retry because", max_retries=0)
    assert (job.state, job.last_error) == (State.DEAD, "Broken: it failed")
    assert heard == ["failure"]


@pytest.mark.parametrize(
    "options, says",
    [
        ({"max_retries": "many"}, "max_retries='many' is not valid"),
        ({"max_retries": -1}, "max_retries=-1 is not valid"),
        ({"exc": "text"}, "exc='text': it must be an exception"),
        ({"countdown": 1, "eta": timezone.now()}, r"countdown=1 and eta=.* exclude each other"),
    ],
)
def test_retry_with_what_it_does_not_take_fails_the_attempt_and_says_so(options: dict[str, Any], says: str) -> None:
    job = steered("retry", **options)
    assert job.state == State.RETRYING
    assert re.search(says, job.last_error)


@pytest.mark.parametrize("options", [{"countdown": 1e11}, {"countdown": "soon"}, {"countdown": float("nan")}])
def test_retry_with_a_time_that_is_none_fails_the_attempt_and_says_so(options: dict[str, Any]) -> None:
    task = current_app.tasks[tasks.steer.name]
    task.push_request(called_directly=False)
    try:
        with pytest.raises(ValueError, match=r"countdown=.* is not valid: it must be seconds"):
            task.retry(**options)
    finally:
        task.pop_request()


def test_retry_cannot_change_the_job() -> None:
    job = steered("retry", queue="other")
    assert job.state == State.RETRYING
    assert "retry() cannot change a job's arguments or options (queue)" in job.last_error


def test_an_expired_job_is_not_run(effects: Effects) -> None:
    job = tasks.note.apply_async(["late"], expires=timezone.now() - timedelta(seconds=1)).job
    deliver(job)
    assert (job.state, job.attempts.get().error_type) == (State.DEAD, "Expired")
    assert effects.lines() == []


def test_arguments_that_no_longer_fit_are_no_reason_to_try_again() -> None:
    job = tasks.note.delay("x").job
    Job.objects.filter(pk=job.pk).update(kwargs={"renamed": 1})
    job.refresh_from_db()
    deliver(job)
    # It waits for code that they fit.
    assert (job.state, job.attempt, job.held_by) == (State.QUEUED, 0, "invalid")
    assert "arguments do not fit" in job.last_error


def test_a_result_that_comes_after_the_lease_is_refused(effects: Effects, monkeypatch: pytest.MonkeyPatch) -> None:
    job = tasks.note.delay("slow").job

    def lose_the_lease(effect: str) -> None:
        effects_of.record(effect)
        Job.objects.filter(pk=job.pk).update(lease_id=LEASE)

    # While it runs it is rescued, and claimed by another worker.
    monkeypatch.setattr(tasks, "record", lose_the_lease)
    worker = InThisProcess()
    worker.deliver(job.pk)
    job.refresh_from_db()
    assert effects.lines() == ["slow"]
    assert (job.state, job.lease_id) == (State.RUNNING, LEASE)
    assert [attempt.outcome for attempt in job.attempts.all()] == ["refused"]
    # So Celery's events do not say that it has succeeded.
    assert worker.became == {job.pk: Released()}


def test_a_job_knows_its_parent_and_shares_its_correlation(effects: Effects) -> None:
    parent = tasks.spawning.apply_async(["child", False], correlation_id="request-7").job
    deliver(parent)
    child = Job.objects.exclude(pk=parent.pk).get()
    assert (child.parent_id, child.correlation_id) == (parent.id, "request-7")


def test_a_job_enqueued_by_a_task_stays_though_the_task_fails() -> None:
    parent = tasks.spawning.delay("child", fail=True).job
    deliver(parent)
    assert parent.state == State.DEAD
    assert Job.objects.exclude(pk=parent.pk).get().state == State.QUEUED


def test_a_task_called_as_a_function_is_a_function(effects: Effects) -> None:
    tasks.note("direct")
    assert effects.lines() == ["direct"]
    assert not Job.objects.exists()


def test_an_id_that_is_no_uuid_leads_to_the_same_job_every_time() -> None:
    known = uuid.uuid4()
    assert ledger_id(str(known)) == known
    assert ledger_id("order-17") == ledger_id("order-17") != ledger_id("order-18")


def test_retries_are_counted_by_the_ledger(effects: Effects) -> None:
    """A message sent again was made before the attempts that the job has had since."""
    job = tasks.flaky.delay("x", failures=2).job
    for attempt in (0, 1, 0, 2):
        Job.objects.filter(pk=job.pk).update(state=State.QUEUED, attempt=attempt)
        deliver(job)
        assert job.state == (State.RETRYING if attempt < 2 else State.SUCCEEDED)


def test_retries_begin_anew_with_a_replay(effects: Effects) -> None:
    job = tasks.flaky.delay("x", failures=1).job
    Job.objects.filter(pk=job.pk).update(attempt=6, attempt_base=6)
    deliver(job)
    assert (job.state, job.last_error) == (State.RETRYING, "Broken: attempt 1 fails")


class Settled(Exception):
    """An error of a client, which knows that no retry can mend it."""

    permanent = True


class Unclear(Exception):
    """An error whose attribute cannot be read."""

    @property
    def permanent(self) -> bool:
        raise RuntimeError


@pytest.mark.parametrize("error, state", [(Settled("no"), State.DEAD), (Unclear("who knows"), State.RETRYING)])
def test_an_error_may_say_that_it_is_permanent(
    error: Exception, state: State, effects: Effects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(effect: str) -> None:
        raise error

    monkeypatch.setattr(tasks, "record", fail)
    job = tasks.note.delay("x").job
    deliver(job)
    assert job.state == state


@pytest.mark.parametrize("given, state", [(0, State.DEAD), (1, State.RETRYING), (None, State.RETRYING)])
def test_a_call_may_say_how_often_its_job_is_tried_again(given: int | None, state: State) -> None:
    job = tasks.steer.apply_async(("fail",), max_retries=given).job
    deliver(job)
    assert (job.max_retries, job.state) == (given, state)


def test_the_end_of_each_job_of_a_chunk_is_told_before_the_next_one_begins(effects: Effects) -> None:
    worker = InThisProcess()
    jobs = worker.claim(*(uuid.UUID(tasks.note.delay(str(number)).id) for number in range(3)))
    told: list[tuple[int, int]] = []
    worker.run_calls([[job] for job in jobs], take=lambda ends: told.append((len(ends), len(effects))))
    assert told == [(1, 1), (1, 2), (1, 3)]
