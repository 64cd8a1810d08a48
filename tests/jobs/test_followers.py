"""What follows a job is enqueued with its outcome, however that comes about: in a batch, by the parent, by a rescue."""

import pickle
import time
import uuid
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery import chain, current_app, shared_task
from django.db import connection
from django.utils import timezone
from kombu.utils.json import loads

from jobs import Batch, Permanent, Snooze, job
from jobs.core.held_by import HeldBy
from jobs.core.states import State
from jobs.ledger import hold
from jobs.ledger.attempts import Failure
from jobs.maintenance.held_back import HeldBack
from jobs.maintenance.rescue import Rescue
from jobs.models import Job
from jobs.worker.dead_letters import DeadLetters
from jobs.worker.ledger_thread import LedgerThread
from jobs.worker.lines import LineClaims
from jobs.worker.pending_writes import ParkedJob
from jobs.worker.reports import Reports
from jobs.worker.reserved import Reserved
from tests.jobs import verbs
from tests.jobs.delivery import InThisProcess, deliver, deliver_foreign
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db

ERROR = Failure("ValueError", "it failed")

#: What error links that take more than an id were called with.
called: list[tuple[str, str]] = []


@job(name="tests.followed.batch", batch=10, max_retries=0)
def in_a_batch(batch: Batch[str]) -> None:
    """Fail those jobs that are to."""
    for item in batch:
        if item.value == "bad":
            item.fail(Permanent("bad"))
        if item.value == "later":
            item.fail(Snooze(60))


@shared_task(name="tests.followed.told")  # type: ignore[untyped-decorator]
def told(request: Any, error: BaseException, traceback: Any) -> None:
    """Be an error link of Celery's newer kind, which is called in place."""
    called.append((request.id, str(error)))


@pytest.fixture(autouse=True)
def fresh(valkey: object) -> None:
    """Nothing was called. A job that gives up needs the broker."""
    called.clear()


@pytest.fixture
def rescue() -> Rescue:
    made = Rescue(current_app._get_current_object(), cast("Any", SimpleNamespace(reserved=Reserved())))
    made._in_touch_since, made._touched_at = time.monotonic() - 3600, time.monotonic()
    return made


def followers(parent: Job) -> list[str]:
    return [str(one.args) for one in Job.objects.filter(parent_id=parent.pk).order_by("pk")]


def batched() -> dict[str, Job]:
    """Return the jobs of the batch task by their words."""
    return {one.args[0]: one for one in Job.objects.filter(task=in_a_batch.name)}


def with_error_links(task: Any, *args: Any, **options: Any) -> Job:
    links = [tasks.note.si("gave up"), tasks.note.s(), told.s()]
    made: Job = task.apply_async(args, link_error=links, **options).job
    return made


def assert_error_links_were_called(job: Job) -> None:
    job.refresh_from_db()
    assert job.state == State.DEAD
    assert sorted(followers(job)) == sorted(["['gave up']", f"['{job.pk}']"])
    assert [job_id for job_id, _ in called] == [str(job.pk)]


def test_each_job_of_a_batch_is_followed_by_its_own_chain_and_links() -> None:
    for word in ("a", "b", "c", "d"):
        chain(in_a_batch.s(word), tasks.note.si(f"after {word}")).apply_async()
    in_a_batch.apply_async(("e",), link=[tasks.note.si("linked")])
    deliver(batched()["b"])
    assert {one.state for one in batched().values()} == {State.SUCCEEDED}
    found = {word: followers(one) for word, one in batched().items()}
    assert found == {**{word: [f"['after {word}']"] for word in "abcd"}, "e": ["['linked']"]}


def test_only_those_that_succeed_are_followed() -> None:
    for word in ("good", "bad", "later"):
        chain(in_a_batch.s(word), tasks.note.si(f"after {word}")).apply_async()
    deliver(batched()["bad"])
    found = {word: followers(one) for word, one in batched().items()}
    assert found == {"good": ["['after good']"], "bad": [], "later": []}


def test_a_follower_that_cannot_be_enqueued_ends_its_job_alone() -> None:
    chain(in_a_batch.s("a"), tasks.note.si("x").set(queue="default")).apply_async()
    broken = in_a_batch.delay("b").job
    Job.objects.filter(pk=broken.pk).update(options={"link": [{**tasks.note.si("x"), "options": {"queue": "nowhere"}}]})
    deliver(batched()["a"])
    assert {word: one.state for word, one in batched().items()} == {"a": State.SUCCEEDED, "b": State.DEAD}
    assert "What follows it cannot be enqueued" in Job.objects.get(pk=broken.pk).last_error


NOTE = tasks.note.name

#: What a foreign message may hold where signatures belong.
ODD_SIGNATURES: list[dict[str, Any]] = [
    {"task": NOTE, "subtask_type": "nonsense"},
    {"task": NOTE, "subtask_type": "chain", "kwargs": {"tasks": 5}},
    {"task": NOTE, "subtask_type": "group", "kwargs": {}},
    {"task": in_a_batch.name, "args": 7, "kwargs": [], "options": 3},
    {"task": 7, "args": [], "kwargs": {}, "options": {}},
    {"task": ["x"], "args": [], "kwargs": {}, "options": {}},
    {"a": 1},
    {"task": NOTE, "args": [], "kwargs": {}, "options": {"countdown": "x"}},
]


@pytest.mark.parametrize("odd", ODD_SIGNATURES)
@pytest.mark.parametrize("name", ["link", "chain"])
def test_what_is_no_signature_ends_the_job_it_follows_alone(odd: dict[str, Any], name: str) -> None:
    for word in ("a", "odd", "c"):
        chain(in_a_batch.s(word), tasks.note.si(f"after {word}")).apply_async()
    Job.objects.filter(pk=batched()["odd"].pk).update(options={name: [odd]})
    deliver(batched()["c"])
    states = {word: one.state for word, one in batched().items()}
    assert states == {"a": State.SUCCEEDED, "odd": State.DEAD, "c": State.SUCCEEDED}
    assert "What follows it cannot be enqueued" in batched()["odd"].last_error
    assert [followers(batched()[word]) for word in "ac"] == [["['after a']"], ["['after c']"]]


@pytest.mark.parametrize("odd", ODD_SIGNATURES)
def test_an_error_link_that_is_no_signature_takes_nothing_back(odd: dict[str, Any]) -> None:
    errbacks = [odd, dict(tasks.note.si("gave up"))]
    deliver_foreign(tasks.steer.name, ["permanent"], {}, str(uuid.uuid4()), errbacks=errbacks)
    job = Job.objects.get(task=tasks.steer.name)
    assert (job.state, followers(job)) == (State.DEAD, ["['gave up']"])


@pytest.mark.postgres_only
def test_a_follower_that_the_database_refuses_ends_its_job_alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job ADD CONSTRAINT no CHECK (args::text NOT LIKE '%after b%')")
    for word in "abc":
        chain(in_a_batch.s(word), tasks.note.si(f"after {word}")).apply_async()
    deliver(batched()["a"])
    assert {word: one.state for word, one in batched().items()} == {"a": "succeeded", "b": "dead", "c": "succeeded"}


@pytest.mark.postgres_only
def test_an_error_link_that_the_database_refuses_takes_nothing_back() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job ADD CONSTRAINT no CHECK (args::text NOT LIKE '%refused%')")
    links = [tasks.note.si("refused"), tasks.note.si("gave up")]
    job = tasks.steer.apply_async(("permanent",), link_error=links).job
    deliver(job)
    assert (job.state, followers(job)) == (State.DEAD, ["['gave up']"])


@pytest.mark.parametrize("delivered", ["bad", "good"])
def test_each_job_of_a_batch_has_its_own_error_links(delivered: str) -> None:
    first = with_error_links(in_a_batch, delivered)
    second = with_error_links(in_a_batch, "good" if delivered == "bad" else "bad")
    deliver(first)
    good, bad = (second, first) if delivered == "bad" else (first, second)
    assert_error_links_were_called(bad)
    assert followers(good) == []


def test_error_links_follow_a_job_that_gives_up() -> None:
    job = with_error_links(tasks.steer, "permanent")
    deliver(job)
    assert_error_links_were_called(job)


def test_error_links_follow_no_job_that_is_tried_again() -> None:
    job = with_error_links(tasks.steer, "fail")
    deliver(job)
    assert (job.state, followers(job), called) == (State.RETRYING, [], [])


def test_error_links_follow_a_job_that_has_expired() -> None:
    job = with_error_links(tasks.note, "x", expires=timezone.now())
    deliver(job)
    assert_error_links_were_called(job)


def test_error_links_follow_a_job_that_killed_too_many_workers(rescue: Rescue) -> None:
    job = with_error_links(tasks.note, "x")
    verbs.claim(job.pk, lease_id="a" * 32, lease_seconds=-1, worker="gone@test")
    Job.objects.filter(pk=job.pk).update(worker_losses=99)
    rescue.look()
    assert_error_links_were_called(job)


def test_error_links_follow_a_job_that_waited_for_newer_code_in_vain(settings: Any) -> None:
    job = with_error_links(tasks.note, "x")
    Job.objects.filter(pk=job.pk).update(task="not.yet")
    hold.hold_queued(job.pk, HeldBy.UNKNOWN_TASK, ERROR)
    Job.objects.filter(pk=job.pk).update(held_since=job.created_at.replace(year=2020))
    HeldBack(current_app._get_current_object(), lambda _: None).look()
    assert_error_links_were_called(job)


def test_error_links_follow_a_job_whose_message_cannot_be_read() -> None:
    job = tasks.note.apply_async(("x",), link_error=tasks.note.si("gave up")).job
    ParkedJob(job.pk, ERROR).write()
    assert followers(job) == ["['gave up']"]


def test_an_error_link_that_cannot_be_enqueued_takes_nothing_back() -> None:
    job = tasks.steer.apply_async(("permanent",), link_error=[tasks.noop.s(), tasks.note.si("gave up")]).job
    deliver(job)
    assert (job.state, followers(job)) == (State.DEAD, ["['gave up']"])


@job(name="tests.followed.returning")
def returning() -> Any:
    """Return what JSON has no words for."""
    return {"at": uuid.UUID(int=7), "what": ("a", 1)}


def test_what_follows_a_success_is_enqueued_once_though_the_answer_to_its_record_is_lost() -> None:
    job = returning.apply_async(link=[tasks.note.si("after")]).job
    worker = InThisProcess()
    ends = worker.ends(worker.run(*worker.claim(job.pk)))
    worker.write(ends)
    worker.write([replace(end, again=True) for end in ends])
    job.refresh_from_db()
    assert (job.state, followers(job)) == (State.SUCCEEDED, ["['after']"])


def test_a_success_that_nothing_can_follow_is_dead() -> None:
    chain(returning.si(), tasks.step.s("b")).apply_async()
    job = Job.objects.get()
    assert job.options
    Job.objects.update(options={**job.options, "chain": [{**tasks.step.s("b"), "options": {"queue": "nowhere"}}]})
    job.refresh_from_db()
    deliver(job)
    assert job.state == State.DEAD


@pytest.mark.django_db(transaction=True)
def test_without_the_broker_the_good_jobs_of_a_batch_succeed_and_only_the_bad_one_waits(valkey: Valkey) -> None:
    jobs = [in_a_batch.delay(word).job for word in ("bad", "good", "fine")]
    worker = InThisProcess()
    dead_letters = DeadLetters(lambda ends: ledger.record(ends))  # noqa: PLW0108 (it is made below)
    reports = Reports()
    lines = LineClaims(worker.hostname, lambda *_: None)
    ledger = LedgerThread(worker.hostname, reports, worker.recorder, dead_letters.send, lambda *_: None, lines)
    ends = worker.ends(worker.run(*worker.claim(jobs[0].pk)))
    valkey.kill()
    ledger.serve(lambda _: 0, lambda _: None, lambda _: None)
    try:
        ledger.record(ends)
        wait_for(lambda: {one.state for one in Job.objects.filter(pk__in=[jobs[1].pk, jobs[2].pk])} == {"succeeded"})
        assert Job.objects.get(pk=jobs[0].pk).state == State.RUNNING
        valkey.start()
        wait_for(lambda: Job.objects.get(pk=jobs[0].pk).state == State.DEAD, 30)
    finally:
        dead_letters.stop(10)
        ledger.stop(10)
        reports.close()
    assert not ledger.is_alive()


def test_results_travel_between_processes_as_json() -> None:
    chain(returning.si(), tasks.step.s("b")).apply_async()
    worker = InThisProcess()
    [report] = worker.run(*worker.claim(Job.objects.get().pk))
    assert pickle.loads(pickle.dumps(report)) == report  # noqa: S301 (as the pool's processes do)
    assert loads(report.result) == {"at": uuid.UUID(int=7), "what": ["a", 1]}


@pytest.mark.parametrize("link, state", [(tasks.note.si("x"), State.SUCCEEDED), (tasks.step.s("x"), State.DEAD)])
def test_only_what_takes_a_result_needs_it_as_json(link: Any, state: State) -> None:
    job = tasks.unwritable.apply_async(link=[link]).job
    deliver(job)
    assert (job.state, followers(job)) == (state, ["['x']"] if state == State.SUCCEEDED else [])


@pytest.mark.postgres_only
def test_an_end_that_the_database_never_takes_holds_up_no_other() -> None:
    for word in "bac":
        chain(in_a_batch.s(word), tasks.note.si(f"after {word}")).apply_async()
    worker = InThisProcess()
    left = worker.ends(worker.run(*worker.claim(batched()["b"].pk)))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job ADD CONSTRAINT no CHECK (args::text <> '[\"b\"]' OR state = 'running')")
    for _ in range(3):
        left = worker.recorder.write(left)
        assert [end.job.job.args for end in left] == ['["b"]']
    assert left[0].not_before > time.monotonic()
    assert {word: one.state for word, one in batched().items()} == {"b": "running", "a": "succeeded", "c": "succeeded"}


@pytest.mark.parametrize("ends", ["succeeded", "dead"])
def test_what_follows_may_have_a_time_of_its_own(valkey: Valkey, ends: str) -> None:
    eta = timezone.now() + timedelta(hours=1)
    link = tasks.note.si("linked").set(eta=eta)
    if ends == "succeeded":
        job = tasks.noop.apply_async(link=link).job
    else:
        job = tasks.noop.apply_async(link_error=link, expires=timezone.now() - timedelta(seconds=1)).job
    deliver(job)
    assert job.state == ends
    assert Job.objects.get(parent_id=job.pk).run_at == eta
