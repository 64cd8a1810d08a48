"""Amid a deploy: a job that a worker's code cannot run waits, without an attempt, for a worker whose code can."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app
from django.test import Client

from jobs import Batch, job
from jobs.conf import conf
from jobs.core.held_by import HeldBy
from jobs.core.states import State
from jobs.deadletters.archiver import Archiver
from jobs.ledger import batches, hold, maintain
from jobs.ledger.attempts import Failure
from jobs.maintenance.held_back import HeldBack
from jobs.models import Job
from jobs.operations import actions
from jobs.operations.filters import JobFilter
from jobs.operations.job_json import job_json
from tests.jobs import verbs
from tests.jobs.delivery import deliver, deliver_foreign
from tests.jobs.races import at_once
from tests.jobs.rows import LEASE, claimed, next_moment, written
from tests.servers import Valkey

pytestmark = pytest.mark.django_db

UNKNOWN = Failure("UnknownTask", "No task 'not.yet' is registered here.")

#: What the duty has freed.
freed: list[str] = []


@job(name="tests.held.one")
def one(word: str) -> None:
    """Take one argument, where newer code takes two."""


class Word:
    """What each job of the batch is about."""

    def __init__(self, text: str) -> None:
        self.text = text


@job(name="tests.held.batch", batch=5)
def in_a_batch(batch: Batch[Word]) -> None:
    """Take one argument each."""


@pytest.fixture
def duty(valkey: Valkey) -> HeldBack:
    return HeldBack(current_app._get_current_object(), freed.extend)


@pytest.fixture(autouse=True)
def nothing_freed() -> None:
    freed.clear()


@pytest.fixture
def grace(settings: Any) -> Iterator[Callable[[float], None]]:
    """Set how long jobs may wait for newer code."""

    def choose(seconds: float) -> None:
        settings.JOBS_DEPLOY_GRACE = seconds
        conf.cache_clear()

    yield choose
    conf.cache_clear()


def unknown(**changes: Any) -> Job:
    """Return a job of a task that nobody here knows, as the worker leaves it."""
    waiting = written(task="not.yet", **changes)
    assert hold.hold_queued(waiting.pk, HeldBy.UNKNOWN_TASK, UNKNOWN)
    return Job.objects.get(pk=waiting.pk)


def misfit(*args: Any) -> Job:
    """Return a job with the arguments of newer code, delivered to a worker of today."""
    waiting = written(task="tests.held.one", args=json.dumps(args))
    deliver(waiting)
    return Job.objects.get(pk=waiting.pk)


def known_as(name: str) -> Iterator[None]:
    current_app.tasks[name] = one
    yield
    del current_app.tasks[name]


@pytest.fixture
def newer_code() -> Iterator[None]:
    """Let this worker know the task."""
    yield from known_as("not.yet")


def test_one_of_an_unknown_task_waits_without_an_attempt() -> None:
    job = unknown()
    assert (job.state, job.attempt, job.held_by, job.dispatched_at) == (State.QUEUED, 0, "unknown-task", None)
    assert (job.held_back, job.last_error) == ("needs newer code", "UnknownTask: No task 'not.yet' is registered here.")


def test_one_whose_arguments_do_not_fit_waits_and_gets_its_attempt_back() -> None:
    job = misfit("a", "one more")
    assert (job.state, job.attempt, job.held_by, job.lease_id) == (State.QUEUED, 0, "invalid", None)
    assert "too many positional arguments" in job.last_error
    assert not job.attempts.exists()


def test_one_of_a_batch_waits_alone(valkey: Valkey) -> None:
    jobs = [written(task="tests.held.batch", args=args) for args in ('["a"]', '["b", "more"]', '["c"]')]
    deliver(jobs[0])
    assert [Job.objects.get(pk=one.pk).state for one in jobs] == ["succeeded", "queued", "succeeded"]
    assert Job.objects.get(pk=jobs[1].pk).held_by == "invalid"


def test_a_foreign_message_that_fits_nothing_is_dead_at_once(valkey: Valkey) -> None:
    """Nobody's newer code has checked its arguments."""
    deliver_foreign("tests.held.one", ["a", "b"], {}, "1f0e9b50-0000-7000-8000-000000000001")
    assert Job.objects.get().state == State.DEAD


@pytest.mark.usefixtures("newer_code")
def test_who_knows_the_task_frees_it(duty: HeldBack) -> None:
    job = unknown()
    assert not duty.look()
    job.refresh_from_db()
    assert (job.held_by, job.held_back, freed) == (None, "", ["default"])
    assert [taken.id for taken in maintain.take_undispatched(0, 10)] == [job.id]


def test_who_does_not_know_it_leaves_it(duty: HeldBack) -> None:
    job = unknown()
    misfit("a", "b")
    duty.look()
    job.refresh_from_db()
    assert (job.held_by, freed) == ("unknown-task", [])
    assert maintain.take_undispatched(0, 10) == []
    assert maintain.take_suspects("default", 0, 10) == []


def test_who_takes_the_arguments_frees_it(duty: HeldBack) -> None:
    Job.objects.filter(pk=misfit("a", "b").pk).update(args=["fits"])
    duty.look()
    assert freed == ["default"]


def test_a_batch_does_not_claim_it_again_and_again(duty: HeldBack) -> None:
    waiting = written(task="tests.held.batch", args='["b", "more"]')
    deliver(waiting)
    found = batches.claim_waiting("tests.held.batch", "default", [LEASE], lease_seconds=9, worker="w")
    assert found == []


def test_one_held_again_by_another_old_worker_waits_since_the_first_time(duty: HeldBack) -> None:
    job = unknown()
    hold.unhold([job.pk])
    next_moment()
    hold.hold_queued(job.pk, HeldBy.UNKNOWN_TASK, UNKNOWN)
    assert Job.objects.get(pk=job.pk).held_since == job.held_since


def test_what_held_it_is_forgotten_once_it_has_run(valkey: Valkey) -> None:
    job = misfit("a", "b")
    Job.objects.filter(pk=job.pk).update(args=["fits"], held_by=None)
    job.refresh_from_db()
    deliver(job)
    assert (job.state, job.held_by, job.held_since) == (State.SUCCEEDED, None, None)


@pytest.mark.parametrize("make", [unknown, lambda: misfit("a", "b")], ids=["unknown-task", "invalid"])
def test_after_the_grace_it_is_dead_with_a_letter(
    make: Callable[[], Job], duty: HeldBack, grace: Callable[[float], None]
) -> None:
    job = make()
    grace(0.0001)
    next_moment()
    duty.look()
    job.refresh_from_db()
    assert (job.state, job.attempt, job.lease_id) == (State.DEAD, 0, None)
    assert "It waited for newer code since" in job.last_error
    assert Archiver(current_app._get_current_object()).archive() is False
    letter = job.dead_letters.get()
    assert letter.reason == ("unknown-task" if job.task == "not.yet" else "invalid")


def test_without_the_broker_it_waits_on(duty: HeldBack, grace: Callable[[float], None], valkey: Valkey) -> None:
    job = unknown()
    grace(0.0001)
    next_moment()
    valkey.kill()
    with pytest.raises(Exception, match=r"refused|Connection"):
        duty.look()
    job.refresh_from_db()
    assert (job.state, job.held_by, job.lease_id) == (State.QUEUED, "unknown-task", None)
    valkey.start()
    duty.look()
    job.refresh_from_db()
    assert job.state == State.DEAD


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("newer_code")
def test_workers_that_look_at_once_free_each_job_once() -> None:
    jobs = [unknown() for _ in range(20)]
    at_once(lambda _: freed.extend(hold.unhold([job.pk for job in jobs])), 4)
    assert freed == ["default"]


def test_more_than_fit_into_one_look_are_all_looked_at(duty: HeldBack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.maintenance.held_back.BATCH", 3)
    for _ in range(7):
        unknown()
    Job.objects.filter(pk=Job.objects.order_by("-pk").values("pk")[:1]).update(task="tests.held.one", args=["fits"])
    while duty.look():
        pass
    assert freed == ["default"]


def test_an_operator_may_cancel_it_or_send_it_again(valkey: Valkey) -> None:
    one, two = unknown(), unknown()
    actions.cancel_jobs(JobFilter(ids=(one.pk,)), actor="test")
    actions.cancel_jobs(JobFilter(ids=(two.pk,)), actor="test")
    actions.retry_jobs(JobFilter(ids=(two.pk,)), actor="test")
    one.refresh_from_db()
    two.refresh_from_db()
    assert (one.state, two.state, two.held_by, two.held_since) == (State.CANCELLED, State.QUEUED, None, None)


def test_a_claim_that_is_lost_holds_nothing_back() -> None:
    job = claimed(task="not.yet")
    assert not verbs.hold(job.pk, "b" * 32, HeldBy.INVALID, UNKNOWN)
    assert Job.objects.get(pk=job.pk).state == State.RUNNING


def test_everybody_is_told_why_it_waits(admin_client: Client, valkey: Valkey) -> None:
    job = unknown()
    assert job_json(job)["held_by"] == "needs newer code"
    assert "needs newer code" in admin_client.get(f"/jobs/{job.pk}/").content.decode()
    assert "needs newer code" in admin_client.get("/jobs/list/").content.decode()
    assert "1 job needs newer code than any worker has" in admin_client.get("/jobs/").content.decode()
