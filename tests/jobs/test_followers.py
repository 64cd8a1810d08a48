"""What follows a job is enqueued with its outcome, however that comes about: in a batch, by the parent, by a rescue."""

import pickle
import time
import uuid
from typing import Any

import pytest
from celery import chain, current_app, shared_task
from django.db import IntegrityError, connection
from django.utils import timezone

from jobs import Batch, Permanent, Snooze, job
from jobs.compose.followers import following_row
from jobs.core import outcome as outcomes
from jobs.core.held_by import HeldBy
from jobs.core.outcome import Reason
from jobs.core.states import State
from jobs.deadletters.publisher import BrokerGone
from jobs.ledger import claims, hold
from jobs.ledger.attempts import Failure
from jobs.maintenance.held_back import HeldBack
from jobs.maintenance.rescue import Rescue
from jobs.models import Job
from jobs.worker import batch as batches
from jobs.worker.executor import End, portable
from jobs.worker.losses import Condemned, Decided
from tests.jobs.delivery import deliver, deliver_foreign, delivery_of, message_of, request_for
from tests.jobs.test_rescue import make_rescue
from tests.servers import Valkey
from tests.tasks_app import tasks

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
def fresh(valkey: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was called. A job that gives up needs the broker."""
    monkeypatch.setattr(batches, "_resting", {})
    called.clear()


@pytest.fixture
def rescue() -> Rescue:
    made = make_rescue()
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
    claims.claim(job.pk, lease_id="a" * 32, lease_seconds=-1, worker="gone@test")
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
    Condemned(job.pk, ERROR).write()
    assert followers(job) == ["['gave up']"]


def test_an_error_link_that_cannot_be_enqueued_takes_nothing_back() -> None:
    job = tasks.steer.apply_async(("permanent",), link_error=[tasks.noop.s(), tasks.note.si("gave up")]).job
    deliver(job)
    assert (job.state, followers(job)) == (State.DEAD, ["['gave up']"])


def decided(job: Job, *ends: End) -> Decided:
    """Return what the parent process keeps for ends that the child could not record."""
    request = delivery_of(job)
    for end in ends:
        assert claims.claim(end.job_id, lease_id=request.lease_id, lease_seconds=60, worker="worker@test")
    return Decided(request, [portable(end) for end in ends])


def end_of(job: Job, outcome: outcomes.Outcome, result: Any = None) -> End:
    following = following_row(job.task, job.pk, "", job.options)
    return End(job.pk, 1, outcome, Failure("", "") if outcome == outcomes.Succeeded() else ERROR, following, result)


def test_what_follows_a_success_that_the_parent_records_gets_its_result() -> None:
    chain(tasks.step.s(None, "a"), tasks.step.s("b")).apply_async()
    job = Job.objects.get()
    kept = decided(job, end_of(job, outcomes.Succeeded(), "a"))
    kept.write()
    kept.write()
    job.refresh_from_db()
    assert (job.state, followers(job)) == (State.SUCCEEDED, ["['a', 'b']"])


def test_a_success_that_nothing_can_follow_is_dead_where_the_parent_records_it() -> None:
    chain(tasks.step.s(None, "a"), tasks.step.s("b")).apply_async()
    job = Job.objects.get()
    assert job.options
    Job.objects.update(options={**job.options, "chain": [{**tasks.step.s("b"), "options": {"queue": "nowhere"}}]})
    job.refresh_from_db()
    decided(job, end_of(job, outcomes.Succeeded(), "a")).write()
    job.refresh_from_db()
    assert job.state == State.DEAD


def test_without_the_broker_the_good_jobs_of_a_batch_succeed_and_only_the_bad_one_waits(valkey: Valkey) -> None:
    jobs = [in_a_batch.delay(word).job for word in ("bad", "good", "fine")]
    message = message_of(jobs[0])
    valkey.kill()
    result = request_for(message.body, message.headers).execute()
    (kept,) = result.exception.exc.args[0]
    assert (kept.job_id, kept.outcome) == (jobs[0].pk, outcomes.Dead(Reason.PERMANENT))
    assert [Job.objects.get(pk=one.pk).state for one in jobs] == [State.RUNNING, State.SUCCEEDED, State.SUCCEEDED]
    valkey.start()


def test_the_parent_records_successes_though_the_broker_is_away(valkey: Valkey) -> None:
    bad, good = in_a_batch.delay("bad").job, in_a_batch.delay("good").job
    kept = decided(bad, end_of(bad, outcomes.Dead(Reason.PERMANENT)), end_of(good, outcomes.Succeeded()))
    valkey.kill()
    with pytest.raises(BrokerGone):
        kept.write()
    good.refresh_from_db()
    assert good.state == State.SUCCEEDED
    valkey.start()
    kept.write()
    bad.refresh_from_db()
    assert bad.state == State.DEAD


def test_jobs_that_were_claimed_without_an_answer_have_not_run() -> None:
    """The claim of a batch's further jobs was committed, and its answer lost; then the database was away."""
    ran, unheard = in_a_batch.delay("a").job, in_a_batch.delay("b").job
    kept = decided(ran, end_of(ran, outcomes.Succeeded()))
    claims.claim(unheard.pk, lease_id=kept.request.lease_id, lease_seconds=60, worker="worker@test")
    kept.write()
    ran.refresh_from_db()
    unheard.refresh_from_db()
    assert (ran.state, unheard.state, unheard.attempt) == (State.SUCCEEDED, State.QUEUED, 0)
    assert unheard.dispatched_at is None


def test_ends_travel_between_processes() -> None:
    chain(tasks.step.s(None, "a"), tasks.step.s("b")).apply_async()
    end = portable(end_of(Job.objects.get(), outcomes.RetryIn(2.5), {"at": uuid.uuid4(), "what": ("a", 1)}))
    assert pickle.loads(pickle.dumps(end)) == end  # noqa: S301
    assert portable(end_of(Job.objects.get(), outcomes.Succeeded(), object())).result is None


@pytest.mark.postgres_only
def test_an_end_that_the_database_never_takes_holds_up_no_other_that_the_parent_records() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job ADD CONSTRAINT no CHECK (args::text NOT LIKE '%after b%')")
    for word in "bac":
        chain(in_a_batch.s(word), tasks.note.si(f"after {word}")).apply_async()
    rows = batched()
    record = decided(rows["b"], *(end_of(rows[word], outcomes.Succeeded()) for word in "bac"))
    with pytest.raises(IntegrityError):
        record.write()
    assert {word: one.state for word, one in batched().items()} == {"b": "running", "a": "succeeded", "c": "succeeded"}
