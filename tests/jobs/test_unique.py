"""What `unique` promises to a transaction: the job it relies on begins after it has committed."""

import threading
from collections.abc import Sequence

import pytest
from django.db import connection, transaction

from jobs.core.states import State
from jobs.ledger import claims, enqueue_once, maintain
from jobs.ledger.sql import RowLocked
from jobs.models import Job
from jobs.worker.pending_writes import Losses, Unsent
from tests.jobs import verbs
from tests.jobs.locks import elsewhere, never_waiting
from tests.jobs.races import at_once
from tests.jobs.rows import LEASE, claim_as, dispatched, new_job, written
from tests.tasks_app import tasks

pytestmark = pytest.mark.django_db(transaction=True)


def claimed_elsewhere(row: Job) -> list[object]:
    """Claim a job over another connection, and return what came of it."""
    found: list[object] = []

    def claim(_: int) -> None:
        try:
            found.append(verbs.claim(row.pk, lease_id=LEASE, lease_seconds=60, worker="worker@test"))
        except RowLocked as exc:
            found.append(exc)

    at_once(claim, 1)
    return found


@pytest.mark.postgres_only
def test_the_job_that_a_transaction_relies_on_begins_after_its_commit() -> None:
    row = written(unique_key="key")
    with transaction.atomic():
        assert enqueue_once.write(new_job(unique_key="key")).id == row.pk
        [locked] = claimed_elsewhere(row)
        assert isinstance(locked, RowLocked)
    [claimed] = claimed_elsewhere(row)
    assert isinstance(claimed, claims.Claimed)


@pytest.mark.postgres_only
def test_a_scheduled_job_that_is_relied_on_does_not_come_due_before_the_commit() -> None:
    row = written(unique_key="key", delay=0.001)
    with transaction.atomic():
        assert enqueue_once.write(new_job(unique_key="key")).id == row.pk
        found: list[int] = []
        at_once(lambda _: found.append(len(maintain.take_due(10))), 1)
        assert found == [0]
    assert len(maintain.take_due(10)) == 1


@pytest.mark.postgres_only
def test_many_transactions_rely_on_one_job_and_none_waits_for_another() -> None:
    row = written(unique_key="key")
    barrier = threading.Barrier(4)

    def rely(_: int) -> None:
        with never_waiting(), transaction.atomic():
            assert enqueue_once.write(new_job(unique_key="key")).id == row.pk
            barrier.wait(20)

    at_once(rely, 4)


@pytest.mark.postgres_only
def test_who_meets_a_job_that_is_not_committed_writes_one_of_his_own() -> None:
    with transaction.atomic():
        first = enqueue_once.write(new_job(unique_key="key")).id
        second: list[object] = []
        at_once(lambda _: second.append(enqueue_once.write(new_job(unique_key="key")).id), 1)
    assert second != [first]
    assert Job.objects.count() == 2
    # From then on there is one to rely on.
    assert enqueue_once.write(new_job(unique_key="key")).id == first


@pytest.mark.postgres_only
@pytest.mark.parametrize("together", [True, False])
def test_two_transactions_with_two_keys_in_two_orders_both_commit(together: bool) -> None:
    barrier = threading.Barrier(2)

    def write(number: int) -> None:
        keys = ["a", "b"] if number else ["b", "a"]
        with transaction.atomic():
            enqueue_once.write(new_job(unique_key=keys[0]))
            barrier.wait(20)
            if together:
                enqueue_once.write_many([new_job(unique_key=keys[1]), new_job(unique_key=f"c{number}")])
            else:
                enqueue_once.write(new_job(unique_key=keys[1]))

    at_once(write, 2)
    assert set(Job.objects.exclude(unique_key=None).values_list("unique_key", flat=True)) >= {"a", "b"}


@pytest.mark.postgres_only
def test_the_callers_own_patience_is_as_it_was() -> None:
    def patience() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            return str(cursor.fetchone()[0])

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '7s'")
        for key in ("a", "a", "b"):
            enqueue_once.write(new_job(unique_key=key))
            assert patience() == "7s"
        with elsewhere() as other:
            other.execute(
                "INSERT INTO jobs_job (id, task, queue, state, args, kwargs, unique_key)"
                " VALUES (gen_random_uuid(), 't', 'q', 'queued', '[]', '{}', 'c')"
            )
            enqueue_once.write(new_job(unique_key="c"))
            assert patience() == "7s"
    assert patience() == "0"


@pytest.mark.postgres_only
@pytest.mark.parametrize(
    "lock",
    [
        "SELECT 1 FROM jobs_job WHERE id = %s FOR UPDATE",
        "SELECT 1 FROM jobs_job WHERE id = %s FOR NO KEY UPDATE",
        "UPDATE jobs_job SET priority = 9 WHERE id = %s",
    ],
)
@pytest.mark.parametrize("given_id", [True, False])
def test_who_finds_the_job_locked_by_others_writes_one_of_his_own(lock: str, given_id: bool) -> None:
    row = written(unique_key="key")
    with elsewhere() as other:
        other.execute(lock, [row.pk])
        one = new_job(unique_key="key", given_id=given_id)
        with transaction.atomic():
            assert enqueue_once.write(one).id == one.id
        many = [new_job(unique_key=key) for key in ("key", "free", "key")]
        ids = enqueue_once.write_many(many)
    assert ids[0] == ids[2] != ids[1]
    assert len({row.pk, one.id, *ids}) == Job.objects.count() == 4
    assert enqueue_once.write(new_job(unique_key="key")).id == row.pk


def test_a_rolled_back_transaction_leaves_the_job_as_it_was() -> None:
    row = written(unique_key="key")
    with transaction.atomic():
        enqueue_once.write(new_job(unique_key="key"))
        transaction.set_rollback(True)
    claim_as(row, LEASE)
    assert Job.objects.count() == 1


@pytest.mark.postgres_only
def test_a_delivery_that_finds_its_job_relied_on_has_it_sent_again() -> None:
    row = dispatched(60, unique_key="key", task=tasks.noop.name)
    pending_writes = Losses()
    with elsewhere() as other:
        other.execute("SELECT 1 FROM jobs_job WHERE id = %s FOR SHARE", [row.pk])
        found = claims.claim_many({row.pk: LEASE}, lease_seconds=60, worker="worker@test")
        assert (found.claimed, found.locked) == ([], {row.pk})
        pending_writes.put(Unsent(found.locked))
        pending_writes.write_all()
        assert pending_writes.unwritten() == [Unsent({row.pk})]
    pending_writes.write_all()
    row.refresh_from_db()
    assert (row.state, row.dispatched_at, row.attempt) == (State.QUEUED, None, 0)


# --- Many at a time -------------------------------------------------------------------------------


def keyed(*keys: str | None) -> Sequence[object]:
    return enqueue_once.write_many([new_job(unique_key=key) for key in keys])


def test_of_many_with_keys_each_key_is_written_once_and_what_waits_is_found() -> None:
    there = written(unique_key="there")
    ids = keyed("a", None, "b", "a", "there", None)
    assert ids[0] == ids[3]
    assert ids[4] == there.pk
    assert len(set(ids)) == 5
    assert Job.objects.count() == 5
    assert list(keyed("b", "a")) == [ids[2], ids[0]]


@pytest.mark.parametrize("key", [None, "key"])
def test_one_of_many_is_written_as_one_alone_would_be(key: str | None) -> None:
    options = {
        "args": '["x", 1e16, null]',
        "kwargs": '{"a": "ü"}',
        "options": {"headers": {"a": 1}},
        "priority": 7,
        "max_retries": None,
        "correlation_id": "c",
        "delay": 60,
        "expires_in": 3600,
    }
    alone = new_job(unique_key=key and "alone", **options)
    one = new_job(unique_key=key, **options)
    enqueue_once.write(alone)
    enqueue_once.write_many([one])
    differing = {"id", "created_at", "changed_at", "run_at", "expires_at", "unique_key"}
    rows = [Job.objects.filter(pk=job.id).values().get() for job in (alone, one)]
    left, right = ({name: value for name, value in row.items() if name not in differing} for row in rows)
    assert left == right
    first, second = rows
    assert second["expires_at"] is not None
    assert (second["expires_at"] - second["run_at"]).total_seconds() == pytest.approx(3540, abs=0.01)
    assert abs((second["run_at"] - first["run_at"]).total_seconds()) < 30
    assert second["unique_key"] == key


def test_no_job_at_all_is_written_without_a_word() -> None:
    assert enqueue_once.write_many([]) == []
