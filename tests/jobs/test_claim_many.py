"""A worker's parent process claims several jobs in one statement, each under a lease of its own."""

import pickle
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given, settings, strategies as st

from jobs.core.held_by import HeldBy
from jobs.core.states import TRANSITIONS, State
from jobs.ledger import batches, claims, enqueue_once, hold, record
from jobs.ledger.claims import Claimed, Claims
from jobs.ledger.dialect import POSTGRESQL
from jobs.models import Job
from jobs.operations import actions as operations
from tests.jobs import verbs
from tests.jobs.locks import holding, never_waiting
from tests.jobs.races import at_once
from tests.jobs.rows import ERROR, LEASE, OTHER_LEASE, claimed, content, in_state, new_job, written

pytestmark = pytest.mark.django_db

MISSING = uuid.uuid4()

#: What two claims at different moments may differ in.
MOMENTS = {"id", "lease_id", "lease_expires_at", "started_at", "dispatched_at", "changed_at", "created_at", "run_at"}


def claim(*jobs: Job, again: bool = False, worker: str = "worker@test") -> Claims:
    """Claim each of these under a lease made of its id."""
    return claims.claim_many({job.pk: lease_of(job) for job in jobs}, lease_seconds=60, worker=worker, again=again)


def lease_of(job: Job) -> str:
    return f"{job.pk.int ^ 1:032x}"


def ids(found: Claims) -> list[uuid.UUID]:
    return [taken.id for taken in found.claimed]


def test_a_claim_counts_the_attempt_takes_the_lease_and_tells_all_that_there_is_to_know() -> None:
    parent = uuid.uuid4()
    job = written(
        args='["ä", 1]',
        kwargs='{"a": {"b": null}}',
        options={"headers": {"x": 1}},
        priority=7,
        max_retries=3,
        correlation_id="c-1",
        parent_id=parent,
    )
    Job.objects.filter(pk=job.pk).update(attempt=4, attempt_base=3, worker_losses=1, unique_key="key")
    [taken] = claim(job).claimed
    assert taken == Claimed(
        id=job.pk,
        lease_id=lease_of(job),
        task=job.task,
        queue="default",
        priority=7,
        args=taken.args,
        kwargs=taken.kwargs,
        options={"headers": {"x": 1}},
        attempt=5,
        attempt_base=3,
        max_retries=3,
        worker_losses=1,
        correlation_id="c-1",
        parent_id=parent,
        clock=taken.clock,
    )
    assert (taken.retries, '"ä"' in taken.args, '"a"' in taken.kwargs) == (1, True, True)
    job.refresh_from_db()
    assert (job.state, job.lease_id, job.worker, job.unique_key) == (State.RUNNING, taken.lease_id, "worker@test", None)
    assert job.started_at == job.changed_at == job.dispatched_at
    assert job.lease_expires_at == job.started_at + timedelta(seconds=60)  # type: ignore[operator]


def test_what_is_claimed_comes_to_a_process_of_the_pool_as_it_is() -> None:
    jobs = [written(parent_id=uuid.uuid4(), options={"chain": []}), written(parent_id=None, options=None)]
    taken = claim(*jobs).claimed
    assert pickle.loads(pickle.dumps(taken)) == taken  # noqa: S301 (our own)


def test_a_claim_of_many_does_to_each_what_a_claim_of_its_own_does() -> None:
    one, other, third = (written(max_retries=None, options=None) for _ in range(3))
    assert ids(claim(one, other)) == [one.pk, other.pk]
    assert verbs.claim(third.pk, lease_id=LEASE, lease_seconds=60, worker="worker@test")
    rows = [{name: value for name, value in content(job).items() if name not in MOMENTS} for job in (one, other, third)]
    assert rows[0] == rows[1] == rows[2]


def test_of_nothing_nothing_is_claimed() -> None:
    assert claims.claim_many({}, lease_seconds=60, worker="w") == Claims([], set())
    assert batches.claim_waiting("t", "default", [], lease_seconds=60, worker="w") == []


@settings(max_examples=20)
@given(data=st.data())
def test_what_is_claimed_comes_in_the_order_in_which_it_was_asked_for(data: Any) -> None:
    jobs = [written(priority=data.draw(st.integers(0, 9))) for _ in range(data.draw(st.integers(0, 12)))]
    asked = data.draw(st.permutations(jobs))
    assert ids(claim(*asked)) == [job.pk for job in asked]


def pause(job: Job) -> None:
    operations.pause_queue(job.queue, actor="test")


def hold_back(job: Job) -> None:
    assert hold.hold_queued(job.pk, HeldBy.UNKNOWN_TASK, ERROR)


def have_taken(job: Job) -> None:
    assert verbs.claim(job.pk, lease_id=OTHER_LEASE, lease_seconds=60, worker="other")


@pytest.mark.parametrize("prevent", [pause, hold_back, have_taken])
@pytest.mark.parametrize("again", [True, False])
def test_what_may_not_begin_is_not_claimed(prevent: Callable[[Job], None], again: bool) -> None:
    job, free = written(queue="other"), written()
    prevent(job)
    before = content(job)
    found = claims.claim_many(
        {job.pk: LEASE, MISSING: OTHER_LEASE, free.pk: "1" * 32}, lease_seconds=60, worker="w", again=again
    )
    assert (ids(found), found.locked) == ([free.pk], set())
    assert content(job) == before


@pytest.mark.parametrize("state", [state for state in State if State.RUNNING not in TRANSITIONS[state]])
def test_only_queued_jobs_are_claimed(state: State) -> None:
    job = in_state(state)
    before = content(job)
    assert claim(job) == Claims([], set())
    assert content(job) == before


def test_an_expired_job_is_claimed_and_known_to_be_expired() -> None:
    late = written(expires_at=timezone.now() - timedelta(milliseconds=50))
    early = written(expires_at=timezone.now() + timedelta(seconds=60))
    assert [taken.seconds_to_begin <= 0 for taken in claim(late, early).claimed] == [True, False]


def test_what_was_claimed_by_a_try_whose_answer_was_lost_is_told_again() -> None:
    job, free, other = written(), written(), claimed(OTHER_LEASE)
    first = claim(job)
    before = content(job)
    assert claim(job) == Claims([], set())
    found = claim(other, free, job, again=True)
    assert found.claimed[1]._replace(clock=0) == first.claimed[0]._replace(clock=0)
    assert ids(found) == [free.pk, job.pk]
    assert content(job) == before
    verbs.succeed(job.pk, lease_of(job))
    assert claim(job, again=True) == Claims([], set())


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres_only
@pytest.mark.parametrize("again", [True, False])
def test_what_somebody_elses_transaction_holds_is_named_and_not_waited_for(again: bool) -> None:
    held, free, running, paused = written(), written(), claimed(OTHER_LEASE), written(queue="paused")
    operations.pause_queue("paused", actor="test")
    with never_waiting(), holding(held, running, paused):
        found = claim(held, free, running, paused, again=again)
        assert (ids(found), found.locked) == ([free.pk], {held.pk})
    assert ids(claim(held, again=again)) == [held.pk]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_", range(3))
def test_of_workers_that_ask_for_the_same_jobs_at_once_each_job_goes_to_exactly_one(_: int) -> None:
    jobs = [written() for _ in range(40)]
    found: dict[int, Claims] = {}

    def race(number: int) -> None:
        asked = {job.pk: uuid.uuid4().hex for job in (jobs if number % 2 else reversed(jobs))}
        found[number] = claims.claim_many(asked, lease_seconds=60, worker=f"worker{number}")

    at_once(race, 4)
    leases = {taken.id: taken.lease_id for claim in found.values() for taken in claim.claimed}
    assert sum(len(claim.claimed) for claim in found.values()) == len(jobs)
    assert leases == dict(Job.objects.values_list("pk", "lease_id"))
    assert set(Job.objects.values_list("state", "attempt")) == {(State.RUNNING, 1)}


def test_waiting_jobs_of_a_task_are_claimed_the_most_urgent_first_each_under_its_own_lease() -> None:
    low, high, middle = written(priority=1), written(priority=9), written(priority=5)
    written(task="another"), written(queue="other")
    hold_back(written(priority=9))
    leases = [f"{number:032}" for number in range(5)]
    first = batches.claim_waiting(low.task, "default", leases[:2], lease_seconds=60, worker="w")
    assert [(taken.id, taken.lease_id) for taken in first] == [(high.pk, leases[0]), (middle.pk, leases[1])]
    rest = batches.claim_waiting(low.task, "default", leases[2:], lease_seconds=60, worker="w")
    assert [(taken.id, taken.lease_id, taken.attempt) for taken in rest] == [(low.pk, leases[2], 1)]
    assert Job.objects.get(pk=low.pk).lease_id == leases[2]


def test_of_a_paused_queue_no_waiting_job_is_claimed() -> None:
    pause(written())
    assert batches.claim_waiting(written().task, "default", [LEASE], lease_seconds=60, worker="w") == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres_only
def test_of_waiting_jobs_those_that_somebody_holds_are_passed_by() -> None:
    held, free = written(priority=9), written()
    with never_waiting(), holding(held):
        [taken] = batches.claim_waiting(free.task, "default", [LEASE, OTHER_LEASE], lease_seconds=60, worker="w")
    assert taken.id == free.pk


@pytest.mark.django_db(transaction=True)
def test_of_workers_that_fill_batches_at_once_no_two_get_the_same_job() -> None:
    jobs = [written() for _ in range(30)]
    found: dict[int, list[Claimed]] = {}

    def race(number: int) -> None:
        leases = [uuid.uuid4().hex for _ in range(10)]
        found[number] = batches.claim_waiting(jobs[0].task, "default", leases, lease_seconds=60, worker="w")

    at_once(race, 3)
    taken = [taken for several in found.values() for taken in several]
    assert len({one.id for one in taken}) == len(taken)
    assert {one.id: one.lease_id for one in taken} == dict(
        Job.objects.filter(state=State.RUNNING).values_list("pk", "lease_id")
    )


@pytest.mark.postgres_only
def test_jobs_are_found_by_their_ids_and_not_by_reading_the_table() -> None:
    enqueue_once.write_many([new_job() for _ in range(1000)])
    pair, change = f'{{"{MISSING.hex}": "{LEASE}"}}', f'[{{"job": "{MISSING.hex}", "lease": "{LEASE}"}}]'
    statements: dict[str, list[str | int]] = {
        claims._claim(POSTGRESQL): [pair, 60, "w"],
        record._all(some_succeeded=True, some_returned=False, some_failed=False): [pair],
        record._all(some_succeeded=True, some_returned=True, some_failed=False): [change],
        record._all(some_succeeded=True, some_returned=False, some_failed=True): [pair, change],
    }
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job")
        for statement, parameters in statements.items():
            cursor.execute(f"EXPLAIN {statement}", parameters)
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Index Scan using jobs_job_pkey" in plan
            assert "Seq Scan on jobs_job" not in plan
