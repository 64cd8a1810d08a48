"""Maintenance's verbs: what is due, never dispatched, lost or overdue goes to exactly one worker."""

import json
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from jobs.core.outcome import Released
from jobs.core.states import FINAL, WAITING, State
from jobs.ledger import leases, maintain, operate
from jobs.ledger.maintain import Dispatchable
from jobs.ledger.put_back import put_back
from jobs.models import Job
from tests.jobs import verbs
from tests.jobs.races import at_once
from tests.jobs.rows import ERROR, LEASE, OTHER_LEASE, claimed, content, dispatched, in_state, written

pytestmark = pytest.mark.django_db


def ids(taken: list[Dispatchable]) -> list[uuid.UUID]:
    return [job.id for job in taken]


def due() -> list[Job]:
    """Return a job of each waiting state whose time has come."""
    scheduled = written(run_at=timezone.now() - timedelta(seconds=5))
    retrying = claimed()
    verbs.retry(retrying.id, LEASE, 0, ERROR)
    return [scheduled, retrying]


def test_what_is_due_is_queued_and_marked_dispatched() -> None:
    jobs = due()
    assert set(ids(maintain.take_due(10))) == {job.id for job in jobs}
    for job in jobs:
        job.refresh_from_db()
        assert job.state == State.QUEUED
        assert job.dispatched_at is not None
    assert maintain.take_due(10) == []


def test_what_is_not_due_stays() -> None:
    before = [content(in_state(state)) for state in State]
    assert maintain.take_due(10) == []
    assert [content(Job(pk=row["id"])) for row in before] == before


def test_the_longest_due_goes_first_and_no_more_than_asked() -> None:
    now = timezone.now()
    jobs = [written(run_at=now - timedelta(seconds=age)) for age in (1, 3, 2)]
    assert ids(maintain.take_due(1)) == [jobs[1].id]
    assert set(ids(maintain.take_due(5))) == {jobs[0].id, jobs[2].id}


def test_a_taken_row_has_all_that_its_message_needs() -> None:
    parent = uuid.uuid4()
    job = written(
        run_at=timezone.now() - timedelta(seconds=1),
        args='[1, "ü", null]',
        kwargs='{"a": {"b": [1.5]}}',
        options={"headers": {"x": "y"}},
        priority=8,
        parent_id=parent,
        correlation_id="c",
    )
    (taken,) = maintain.take_due(1)
    assert taken == Dispatchable(
        id=job.id,
        task="tests.tasks_app.tasks.noop",
        queue="default",
        args=taken.args,
        kwargs=taken.kwargs,
        options={"headers": {"x": "y"}},
        priority=8,
        attempt=0,
        parent_id=parent,
        correlation_id="c",
    )
    assert json.loads(taken.args) == [1, "ü", None]
    assert json.loads(taken.kwargs) == {"a": {"b": [1.5]}}


def test_a_queued_job_without_a_message_is_taken_after_the_grace() -> None:
    fresh = written()
    assert maintain.take_undispatched(5, 10) == []
    assert ids(maintain.take_undispatched(0, 10)) == [fresh.id]
    assert maintain.take_undispatched(0, 10) == []


@pytest.mark.parametrize("state", [*FINAL, *WAITING, State.RUNNING])
def test_only_a_queued_job_can_be_undispatched(state: State) -> None:
    job = in_state(state)
    Job.objects.filter(pk=job.pk).update(dispatched_at=None)
    before = content(job)
    assert maintain.take_undispatched(0, 10) == []
    maintain.redispatch([job.id])
    maintain.mark_dispatched([job.id])
    assert content(job) == before


@pytest.mark.parametrize("gets_attempt_back", [False, True])
def test_a_released_job_is_dispatched_anew(gets_attempt_back: bool) -> None:
    job = claimed()
    # It ran for a while: all of this test has the time of its transaction.
    Job.objects.update(run_at=F("run_at") - timedelta(seconds=6), started_at=F("started_at") - timedelta(seconds=5))
    assert verbs.end(job.id, LEASE, Released(gets_attempt_back=gets_attempt_back), ERROR)
    # The note of its first message may come late.
    maintain.mark_dispatched([job.id])
    assert ids(maintain.take_undispatched(0, 10)) == [job.id]


def test_a_job_that_was_claimed_and_put_back_is_dispatched_anew_though_its_process_notes_late_that_it_was() -> None:
    job = claimed()
    put_back([LEASE])
    maintain.mark_dispatched([job.id])
    assert ids(maintain.take_undispatched(0, 10)) == [job.id]


def message_gone(job: Job) -> None:
    """A worker has fetched the job's message, and let it go."""
    maintain.redispatch([job.id])


def queue_resumed(job: Job) -> None:
    """Its queue was paused when its message came, and is not any more."""
    maintain.redispatch_queue(job.queue)


@pytest.mark.parametrize("happens", [message_gone, queue_resumed])
def test_a_job_whose_message_is_used_up_is_dispatched_anew_though_its_process_notes_late_that_it_was(
    happens: Callable[[Job], None],
) -> None:
    job, other = written(), written(queue="tests.other")
    happens(job)
    maintain.mark_dispatched([job.id, other.id])
    assert ids(maintain.take_undispatched(0, 10)) == [job.id]


def test_that_a_replayed_job_was_dispatched_is_noted() -> None:
    job = in_state(State.DEAD)
    assert operate.requeue([job.id])
    maintain.mark_dispatched([job.id])
    job.refresh_from_db()
    assert job.dispatched_at is not None


def test_a_note_of_dispatch_keeps_the_first_time_and_undispatch_takes_it_back() -> None:
    job = dispatched(100)
    noted = job.dispatched_at
    maintain.mark_dispatched([job.id, uuid.uuid4()])
    job.refresh_from_db()
    assert job.dispatched_at == noted
    maintain.redispatch([job.id])
    job.refresh_from_db()
    assert job.dispatched_at is None


def test_nothing_to_note_needs_no_database(django_assert_num_queries: Callable[..., object]) -> None:
    with django_assert_num_queries(0):  # type: ignore[attr-defined]
        maintain.mark_dispatched([])
        maintain.redispatch([])


def test_suspects_are_those_dispatched_long_ago_in_the_queue_asked_for() -> None:
    old = dispatched(40)
    other = dispatched(40, queue="tests.other")
    dispatched(10)
    assert set(maintain.suspect_queues(30)) == {"default", "tests.other"}
    assert ids(maintain.take_suspects("default", 30, 10)) == [old.id]
    # They are dispatched anew, so they are not suspect for as long again.
    assert maintain.suspect_queues(30) == ["tests.other"]
    assert ids(maintain.take_suspects("tests.other", 30, 10)) == [other.id]


def running_since(dispatched_seconds_ago: float, **changes: object) -> Job:
    job = dispatched(dispatched_seconds_ago, **changes)
    assert verbs.claim(job.id, lease_id=LEASE, lease_seconds=60, worker="w")
    return job


def test_a_job_is_overtaken_by_one_that_was_dispatched_well_after_it_and_runs() -> None:
    lost = dispatched(100)
    running_since(50)
    assert ids(maintain.take_overtaken("default", 30, 10)) == [lost.id]
    assert maintain.take_overtaken("default", 30, 10) == []


def test_a_job_is_not_overtaken_by_a_more_urgent_one_another_queue_or_one_sent_shortly_after() -> None:
    dispatched(100)
    running_since(50, priority=9)
    running_since(50, queue="tests.other")
    running_since(90)
    assert maintain.take_overtaken("default", 30, 10) == []


def test_leases_are_renewed_together_and_only_while_they_are_held() -> None:
    mine, lost, foreign = claimed("1" * 32), claimed("2" * 32), claimed(OTHER_LEASE)
    verbs.succeed(lost.id, "2" * 32)
    before = [content(lost), content(foreign)]
    leases.renew(["1" * 32, "2" * 32], 600)
    mine.refresh_from_db()
    assert mine.lease_expires_at is not None
    assert mine.lease_expires_at > timezone.now() + timedelta(seconds=500)
    assert [content(lost), content(foreign)] == before


def test_only_a_running_job_whose_lease_ran_out_is_overdue() -> None:
    gone = claimed(lease_seconds=-1, worker="gone@test")
    claimed()
    for state in State:
        in_state(state)
    assert leases.overdue(10) == [leases.Overdue(gone.id, LEASE, gone.task, "gone@test")]


def test_the_longest_overdue_comes_first() -> None:
    jobs = [claimed(lease_seconds=-age) for age in (1, 3, 2)]
    assert [job.id for job in leases.overdue(2)] == [jobs[1].id, jobs[2].id]


def test_who_takes_over_a_lost_lease_holds_it_and_nobody_else_does() -> None:
    job = claimed(lease_seconds=-1)
    (lost,) = leases.overdue(10)
    assert leases.take_over(lost, OTHER_LEASE, 60)
    job.refresh_from_db()
    assert (job.lease_id, job.worker) == (OTHER_LEASE, "worker@test")
    assert leases.overdue(10) == []
    assert not leases.take_over(lost, "c" * 32, 60)
    assert not verbs.succeed(job.id, LEASE)


def test_a_lease_renewed_or_ended_meanwhile_cannot_be_taken_over() -> None:
    renewed, done = claimed("1" * 32, lease_seconds=-1), claimed("2" * 32, lease_seconds=-1)
    found = leases.overdue(10)
    leases.renew(["1" * 32], 60)
    verbs.succeed(done.id, "2" * 32)
    before = [content(renewed), content(done)]
    assert [leases.take_over(lost, OTHER_LEASE, 60) for lost in found] == [False, False]
    assert [content(renewed), content(done)] == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["take_due", "take_undispatched", "take_suspects"])
def test_each_row_goes_to_one_of_many_workers(verb: str) -> None:
    take: Callable[[], list[Dispatchable]]
    match verb:
        case "take_due":
            jobs = [written(run_at=timezone.now() - timedelta(seconds=1)) for _ in range(60)]
            take = lambda: maintain.take_due(7)  # noqa: E731
        case "take_undispatched":
            jobs = [written() for _ in range(60)]
            take = lambda: maintain.take_undispatched(0, 7)  # noqa: E731
        case _:
            jobs = [dispatched(100) for _ in range(60)]
            take = lambda: maintain.take_suspects("default", 30, 7)  # noqa: E731
    taken: list[uuid.UUID] = []

    def work(number: int) -> None:
        while got := ids(take()):
            taken.extend(got)

    at_once(work, 4)
    assert len(taken) == len(set(taken))
    # A worker may see nothing while another one holds the last rows.
    taken += ids(take())
    assert set(taken) == {job.id for job in jobs}
