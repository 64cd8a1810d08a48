"""Celery's canvas over jobs: each step is a row, and what follows is enqueued with the success before it."""

import uuid
from pathlib import Path
from typing import Any

import pytest
from billiard.exceptions import WorkerLostError
from celery import chain, current_app, group

from jobs.compose.followers import call_in_place
from jobs.core.states import State
from jobs.enqueue.dispatcher import flush
from jobs.models import Job
from tests.jobs.delivery import deliver
from tests.jobs.rows import LEASE
from tests.jobs.wire import messages
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.tasks_app.canvas import told_bytes, told_with
from tests.tasks_app.effects import VARIABLE, Effects

pytestmark = pytest.mark.django_db


@pytest.fixture
def effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Effects:
    """What the tasks did."""
    effects = Effects(tmp_path / "effects")
    monkeypatch.setenv(VARIABLE, str(effects.path))
    return effects


def run_all() -> int:
    """Deliver queued jobs until none is left, and return how many were delivered."""
    count = 0
    while (job := Job.objects.filter(state=State.QUEUED).order_by("created_at").first()) is not None:
        deliver(job)
        count += 1
    return count


def test_a_chain_runs_step_by_step_and_hands_on_results(effects: Effects) -> None:
    chain(tasks.step.s(None, "a"), tasks.step.s("b"), tasks.step.s("c"), tasks.step.s("d"))()
    assert Job.objects.count() == 1
    assert run_all() == 4
    assert effects.lines() == ["start>a", "a>b", "b>c", "c>d"]


def test_the_steps_of_a_chain_know_where_they_come_from(effects: Effects) -> None:
    chain(tasks.step.s(None, "a"), tasks.step.s("b"), tasks.step.s("c"))()
    run_all()
    first = Job.objects.get(parent_id=None)
    second = Job.objects.get(parent_id=first.id)
    third = Job.objects.get(parent_id=second.id)
    assert [job.options and job.options["root_id"] for job in (second, third)] == [str(first.id)] * 2


def test_a_chain_has_the_ids_it_was_given() -> None:
    result = chain(tasks.step.s(None, "a"), tasks.step.s("b"))()
    first = Job.objects.get()
    assert result.parent is not None
    assert str(first.id) == result.parent.id


def test_a_step_that_fails_stops_the_chain(effects: Effects, valkey: Valkey) -> None:
    chain(tasks.steer.si("permanent"), tasks.step.s("never"))()
    assert run_all() == 1
    assert Job.objects.get().state == State.DEAD
    assert effects.lines() == []


def test_a_step_that_is_tried_again_goes_on_with_its_chain(effects: Effects) -> None:
    chain(tasks.flaky.si("f", 1), tasks.note.si("after"))()
    run_all()
    assert effects.lines() == ["f"]
    Job.objects.filter(state=State.RETRYING).update(state=State.QUEUED)
    run_all()
    assert effects.lines() == ["f", "f", "after"]


def test_a_step_that_celery_should_ignore_ends_its_chain(effects: Effects) -> None:
    chain(tasks.steer.si("ignore"), tasks.note.si("never"))()
    assert run_all() == 1
    assert effects.lines() == []


def test_a_step_delivered_twice_is_followed_once(effects: Effects) -> None:
    chain(tasks.step.s(None, "a"), tasks.step.s("b"))()
    first = Job.objects.get()
    for _ in range(3):
        deliver(first)
    run_all()
    assert effects.lines() == ["start>a", "a>b"]


def test_a_step_whose_lease_was_lost_is_followed_by_nothing(effects: Effects, monkeypatch: pytest.MonkeyPatch) -> None:
    chain(tasks.step.s(None, "a"), tasks.step.s("b"))()
    job = Job.objects.get()

    def lose_the_lease(effect: str) -> None:
        Job.objects.filter(pk=job.pk).update(lease_id=LEASE)

    monkeypatch.setattr(tasks, "record", lose_the_lease)
    deliver(job)
    assert Job.objects.get().state == State.RUNNING
    assert [attempt.outcome for attempt in job.attempts.all()] == ["refused"]


def test_a_result_that_the_next_step_cannot_take_ends_the_job_with_the_reason(valkey: Valkey) -> None:
    chain(tasks.unwritable.si(), tasks.step.s("b"))()
    assert run_all() == 1
    job = Job.objects.get()
    assert (job.state, job.attempt) == (State.DEAD, 1)
    assert "cannot be written as JSON" in job.last_error


def test_a_group_is_a_job_for_each(effects: Effects) -> None:
    group(tasks.note.s(str(number)) for number in range(3)).apply_async()
    groups = {job.options["group_id"] for job in Job.objects.all() if job.options}
    assert (Job.objects.count(), len(groups)) == (3, 1)
    run_all()
    assert sorted(effects.lines()) == ["0", "1", "2"]


def test_a_chain_of_groups_of_one_is_a_chain(effects: Effects) -> None:
    chain(tasks.step.s(None, "a"), group(tasks.step.s("b"), tasks.step.s("c")))()
    run_all()
    assert sorted(effects.lines()) == ["a>b", "a>c", "start>a"]


def test_links_follow_success(effects: Effects) -> None:
    tasks.step.apply_async((None, "a"), link=[tasks.step.s("b"), tasks.note.si("also")])
    run_all()
    assert sorted(effects.lines()) == ["a>b", "also", "start>a"]


def test_each_of_many_is_followed_by_its_links(effects: Effects) -> None:
    tasks.step.delay_many([(None, "a"), (None, "b")], link=tasks.step.s("c"))
    run_all()
    assert sorted(effects.lines()) == ["a>c", "b>c", "start>a", "start>b"]


@pytest.mark.django_db(transaction=True)
def test_a_link_on_error_follows_a_job_that_gives_up(effects: Effects, valkey: Valkey) -> None:
    job = tasks.steer.apply_async(("permanent",), link_error=tasks.note.si("gave up")).job
    deliver(job)
    run_all()
    assert effects.lines() == ["gave up"]


def test_followers_and_success_are_one_transaction(effects: Effects) -> None:
    chain(tasks.step.s(None, "a"), tasks.step.s("b"))()
    first = Job.objects.get()
    Job.objects.filter(pk=first.pk).update(state=State.QUEUED)
    deliver(first)
    assert set(Job.objects.values_list("state", flat=True)) == {State.SUCCEEDED, State.QUEUED}


def test_options_of_a_step_are_its_jobs(effects: Effects) -> None:
    chain(
        tasks.step.s(None, "a").set(priority=9),
        tasks.step.s("b").set(queue="tests.other", countdown=60, headers={"x": "y"}),
    )()
    run_all()
    first = Job.objects.get(parent_id=None)
    second = Job.objects.get(parent_id=first.id)
    assert first.priority == 9
    assert (second.queue, second.state) == ("tests.other", State.SCHEDULED)
    assert second.options is not None
    assert second.options["headers"] == {"x": "y"}


def test_the_signature_of_a_job_may_name_its_id() -> None:
    given = str(uuid.uuid4())
    tasks.note.s("x").set(task_id=given).apply_async()
    assert str(Job.objects.get().id) == given


@pytest.mark.django_db(transaction=True)
def test_a_plain_task_may_follow_a_job(effects: Effects, valkey: Valkey) -> None:
    job = tasks.step.apply_async((None, "a"), link=tasks.plain.s()).job
    deliver(job)
    sent = [message.headers["task"] for message in messages(valkey, "default")]
    assert "tests.tasks_app.tasks.plain" in sent


@pytest.mark.django_db(transaction=True)
def test_a_plain_task_is_not_sent_before_what_it_follows_is_recorded(effects: Effects, valkey: Valkey) -> None:
    # The other link cannot be enqueued, so the success is not recorded.
    links = [tasks.plain.s(), group(tasks.plain.s()), tasks.note.s("too", "many")]  # type: ignore[call-overload]
    job = tasks.step.apply_async((None, "a"), link=links).job
    deliver(job)
    assert job.state == State.DEAD
    assert "tests.tasks_app.tasks.plain" not in [message.headers["task"] for message in messages(valkey, "default")]


@pytest.mark.django_db(transaction=True)
def test_a_plain_task_that_cannot_be_sent_takes_no_success_back(
    effects: Effects, valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    job = tasks.step.apply_async((None, "a"), link=[tasks.plain.s()]).job
    flush()
    valkey.stop()
    deliver(job)
    assert (job.state, job.attempts.count()) == (State.SUCCEEDED, 0)
    assert "plain task tests.tasks_app.tasks.plain that follows it could not be sent" in caplog.text


@pytest.mark.parametrize("option", ["producer", "publisher", "connection", "retry", "retry_policy", "add_to_parent"])
def test_options_about_sending_pass_through_a_canvas(effects: Effects, option: str) -> None:
    chain(tasks.step.s(None, "a"), tasks.step.s("b")).apply_async(**{option: False})
    run_all()
    assert effects.lines() == ["start>a", "a>b"]


def test_an_error_link_that_is_called_in_place_gets_what_json_has_not(effects: Effects, valkey: Valkey) -> None:
    tasks.steer.apply_async(("permanent",), link_error=told_bytes.si(b"raw\xff", "told"))
    run_all()
    assert effects.lines() == ["told b'raw\\xff'"]


def test_what_ends_without_its_process_calls_error_links_with_what_json_has_not(effects: Effects) -> None:
    called = tasks.noop.apply_async(link_error=told_bytes.si(b"raw\xff", "told"))
    call_in_place(current_app, called.job.task, called.job.id, called.job.options, WorkerLostError("gone"))
    assert effects.lines() == ["told b'raw\\xff'"]


@pytest.mark.parametrize("link", [told_with.s("told"), told_with.s(name="told")])
def test_an_error_link_that_has_all_but_the_id_gets_that(effects: Effects, link: Any, valkey: Valkey) -> None:
    called = tasks.steer.apply_async(("permanent",), link_error=link)
    run_all()
    assert effects.lines() == [f"told {called.id}"]
