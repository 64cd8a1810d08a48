"""A message without a row, from `send_task` elsewhere or an older Beat, becomes a job when a worker gets it."""

import math
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import InvalidTaskError

from jobs.core.job_ids import ledger_id
from jobs.core.states import State
from jobs.ledger import maintain
from jobs.models import Job
from tests.jobs.delivery import deliver, deliver_foreign
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.tasks_app.effects import VARIABLE, Effects

pytestmark = pytest.mark.django_db

NOTE = "tests.tasks_app.tasks.note"


@pytest.fixture(autouse=True)
def effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Effects:
    """What the tasks did."""
    effects = Effects(tmp_path / "effects")
    monkeypatch.setenv(VARIABLE, str(effects.path))
    return effects


def send(*args: Any, task: str = NOTE, task_id: str = "", **headers: Any) -> str:
    task_id = task_id or str(uuid.uuid4())
    deliver_foreign(task, list(args), {}, task_id, **headers)
    return task_id


def test_a_foreign_message_becomes_a_job_and_runs(effects: Effects) -> None:
    task_id = send("x")
    job = Job.objects.get()
    assert (str(job.id), job.task, job.state, job.attempt) == (task_id, NOTE, State.SUCCEEDED, 1)
    assert (job.args, job.kwargs, job.queue, job.priority) == (["x"], {}, "default", 5)
    assert job.dispatched_at is not None
    assert effects.lines() == ["x"]


def test_the_same_message_again_runs_nothing(effects: Effects) -> None:
    task_id = send("x")
    for _ in range(2):
        send("x", task_id=task_id)
    assert Job.objects.count() == 1
    assert effects.lines() == ["x"]


def test_an_id_that_is_no_uuid_is_the_same_job_every_time(effects: Effects) -> None:
    for _ in range(2):
        send("x", task_id="order-17")
    assert Job.objects.get().id == ledger_id("order-17")
    assert effects.lines() == ["x"]


def test_it_is_in_the_queue_it_came_from_where_that_is_known() -> None:
    send("x", queue="tests.other")
    send("y", queue="celery-pidbox")
    assert sorted(Job.objects.values_list("queue", flat=True)) == ["default", "tests.other"]


def test_one_for_later_waits_in_the_ledger(effects: Effects) -> None:
    eta = datetime.now(UTC) + timedelta(hours=1)
    for _ in range(2):
        send("x", task_id="later", eta=eta.isoformat())
    job = Job.objects.get()
    assert (job.state, job.attempt, job.dispatched_at) == (State.SCHEDULED, 0, None)
    assert abs(job.run_at - eta) < timedelta(milliseconds=1)
    assert effects.lines() == []


def test_one_for_later_runs_when_its_time_has_come(effects: Effects) -> None:
    send("x", eta=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    Job.objects.update(run_at=datetime.now(UTC) - timedelta(seconds=1))
    (taken,) = maintain.take_due(10)
    deliver(Job.objects.get(pk=taken.id))
    assert effects.lines() == ["x"]


def test_a_time_that_has_come_is_now(effects: Effects) -> None:
    send("x", eta=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
    assert effects.lines() == ["x"]


def test_one_that_has_expired_is_dead_and_not_run(effects: Effects, valkey: Valkey) -> None:
    send("x", expires=(datetime.now(UTC) - timedelta(seconds=1)).isoformat())
    assert Job.objects.get().state == State.DEAD
    assert effects.lines() == []


def test_one_that_expires_later_keeps_that_time() -> None:
    expires = datetime.now(UTC) + timedelta(hours=1)
    send("x", expires=expires.isoformat())
    job = Job.objects.get()
    assert job.expires_at is not None
    assert abs(job.expires_at - expires) < timedelta(milliseconds=1)


def test_one_that_fails_is_tried_again_from_the_ledger(effects: Effects) -> None:
    send("f", 1, task="tests.tasks_app.tasks.flaky")
    job = Job.objects.get()
    assert (job.state, job.attempts.count()) == (State.RETRYING, 1)
    Job.objects.update(state=State.QUEUED)
    job.refresh_from_db()
    deliver(job)
    assert job.state == State.SUCCEEDED
    assert effects.lines() == ["f", "f"]


def test_its_time_limits_hold_for_every_attempt() -> None:
    send("f", 1, task="tests.tasks_app.tasks.flaky", timelimit=[7, 5])
    options = Job.objects.get().options
    assert options == {"time_limit": 7, "soft_time_limit": 5}


def test_headers_of_its_own_are_kept_as_far_as_the_ledger_can_hold_them(effects: Effects) -> None:
    given: dict[str, Any] = {"x-own": {"a": [1, None]}, "x-nul": "a\x00b", "x-death": [{"count": 1}]}
    given["x-idempotency-body"] = "forged"
    send("x", **given)
    assert Job.objects.get().options == {"headers": {"x-own": {"a": [1, None]}}}
    assert effects.lines() == ["x"]


@pytest.mark.parametrize("name", ["get", "update", "__class__", "_children", "job_id", "lease_id", "is_eager"])
def test_a_header_that_is_named_as_a_part_of_the_request_hides_nothing(effects: Effects, name: str) -> None:
    send("x", **{name: "theirs"})
    job = Job.objects.get()
    assert (job.state, job.options) == (State.SUCCEEDED, {"headers": {name: "theirs"}})
    assert effects.lines() == ["x"]


def test_its_chain_goes_on_as_jobs(effects: Effects) -> None:
    follower = tasks.step.s("b")
    send(None, "a", task="tests.tasks_app.tasks.step", chain=[dict(follower)])
    job = Job.objects.get(state=State.QUEUED)
    assert job.args == ["a", "b"]
    deliver(job)
    assert effects.lines() == ["start>a", "a>b"]


def test_one_that_names_a_parent_of_ours_is_its_child() -> None:
    parent = uuid.uuid4()
    send("x", parent_id=str(parent))
    send("y", parent_id="order-17")
    assert set(Job.objects.values_list("parent_id", flat=True)) == {parent, None}


@pytest.mark.parametrize("value", ["a\x00b", "\udc80", math.nan])
def test_arguments_the_ledger_cannot_hold_are_refused_where_the_message_can_be_parked(value: object) -> None:
    with pytest.raises(InvalidTaskError, match=r"tests\.tasks_app\.tasks\.note: args"):
        send(value)
    assert not Job.objects.exists()


def test_arguments_that_do_not_fit_are_no_reason_to_try_again(valkey: Valkey) -> None:
    send("x", "y", "z")
    job = Job.objects.get()
    assert (job.state, job.attempt) == (State.DEAD, 1)
    assert "arguments do not fit" in job.last_error
