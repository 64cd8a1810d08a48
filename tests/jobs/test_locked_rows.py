"""A row that somebody's open transaction holds is passed by: no statement of the engine waits for it."""

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Model
from django.db.models.functions import Now
from psycopg import sql

from jobs.core.outcome import Succeeded
from jobs.core.states import FINAL, State
from jobs.ledger import attempts, fetch, leases, maintain, operate, prune
from jobs.ledger.attempts import Ended
from jobs.ledger.prune import Past
from jobs.ledger.put_back import put_back
from jobs.ledger.record import record_many
from jobs.ledger.sql import RowLocked
from jobs.models import Attempt, DeadLetter, Job
from jobs.worker.pending_writes import Losses, Unsent
from tests.jobs import verbs
from tests.jobs.letters import dead_letter
from tests.jobs.locks import elsewhere, holding, never_waiting
from tests.jobs.rows import ERROR, LEASE, OTHER_LEASE, claimed, content, dispatched, in_state, waiting, written

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres_only]


@pytest.fixture(autouse=True)
def without_waiting() -> Iterator[None]:
    """Nothing here may wait for a lock."""
    with never_waiting():
        yield


def claim(job_id: uuid.UUID) -> object:
    return verbs.claim(job_id, lease_id=OTHER_LEASE, lease_seconds=60, worker="worker@test")


QUEUED: dict[str, Callable[[uuid.UUID], object]] = {
    "claim": claim,
    "give_up_queued": lambda job_id: attempts.give_up_queued(job_id, ERROR),
    "redispatch": lambda job_id: maintain.redispatch([job_id]),
}
RUNNING: dict[str, Callable[[uuid.UUID], object]] = {
    "succeed": lambda job_id: verbs.succeed(job_id, LEASE),
    "retry": lambda job_id: verbs.retry(job_id, LEASE, 1, ERROR),
    "die": lambda job_id: verbs.die(job_id, LEASE, ERROR),
    "cancel_running": lambda job_id: verbs.cancel(job_id, LEASE, ERROR),
    "snooze": lambda job_id: verbs.snooze(job_id, LEASE, 1, "later"),
    "release": lambda job_id: verbs.release(job_id, LEASE, ERROR),
    "put_back": lambda _: put_back([LEASE]),
}


@pytest.mark.parametrize("verb", [*QUEUED, *RUNNING])
def test_what_must_change_one_row_says_that_it_is_held_and_does_its_work_when_it_is_free(verb: str) -> None:
    job, act = (dispatched(0), QUEUED[verb]) if verb in QUEUED else (claimed(), RUNNING[verb])
    before = content(job)
    with holding(job), pytest.raises(RowLocked, match=str(job.pk)) as error:
        act(job.pk)
    assert error.value.job_ids == {job.pk}
    assert content(job) == before
    act(job.pk)
    assert content(job) != before


def test_a_reference_from_another_table_holds_nobody_up() -> None:
    job = claimed()
    with elsewhere() as other:
        other.execute(
            "INSERT INTO jobs_attempt (job_id, number, outcome, error_type, error) VALUES (%s, 1, 'x', 'x', 'x')",
            [job.pk],
        )
        assert verbs.succeed(job.pk, LEASE)


def test_of_a_batch_what_is_free_succeeds_and_what_is_held_is_named() -> None:
    held, free = claimed("1" * 32), claimed("2" * 32)
    with holding(held):
        records = record_many([Ended(job.pk, job.lease_id or "", 1, Succeeded()) for job in (held, free)])
    assert (records.locked, set(records.became)) == ({held.pk}, {free.pk})


def test_leases_are_renewed_but_the_one_of_a_held_row_which_is_named() -> None:
    held, free, lost = claimed("1" * 32), claimed("2" * 32), "3" * 32
    before = {job.pk: job.lease_expires_at for job in (held, free)}
    with holding(held):
        renewal = leases.renew(["1" * 32, "2" * 32, lost], 3600)
    for job in (held, free):
        job.refresh_from_db()
    assert held.lease_expires_at == before[held.pk]
    assert free.lease_expires_at is not None
    assert before[free.pk] is not None
    assert free.lease_expires_at > before[free.pk]  # type: ignore[operator]
    assert (renewal.locked, set(renewal.lost)) == ({"1" * 32: held.pk}, {lost})


def test_of_a_batch_under_one_lease_the_held_job_is_named() -> None:
    held, _ = claimed(LEASE), claimed(LEASE)
    with holding(held):
        renewal = leases.renew([LEASE], 3600)
    assert (renewal.locked, set(renewal.lost)) == ({LEASE: held.pk}, set())


def overdue(lease: str) -> Job:
    return claimed(lease, lease_seconds=-1)


def due() -> Job:
    job = waiting()
    Job.objects.filter(pk=job.pk).update(run_at=Now() - timedelta(seconds=1))
    return job


def old() -> Job:
    job = in_state(State.SUCCEEDED)
    Job.objects.filter(pk=job.pk).update(changed_at=Now() - timedelta(days=9))
    return job


#: What maintenance does with many rows: how a row gets there, and what takes rows and returns how many.
MANY: dict[str, tuple[Callable[[], Job], Callable[[], int]]] = {
    "take_due": (due, lambda: len(maintain.take_due(10))),
    "queue_due": (due, lambda: fetch.queue_due(10)[0]),
    "take_undispatched": (written, lambda: len(maintain.take_undispatched(0, 10))),
    "take_suspects": (lambda: dispatched(60), lambda: len(maintain.take_suspects("default", 1, 10))),
    "redispatch": (lambda: dispatched(60), lambda: fetch.redispatch(1, 10)[0]),
    "fetch_jobs": (written, lambda: len(fetch.fetch_jobs(connection, ["default"], 10))),
    "redispatch_queue": (lambda: dispatched(0), lambda: maintain.redispatch_queue("default")),
    "overdue": (lambda: overdue(uuid.uuid4().hex), lambda: len(leases.overdue(10))),
    "prune_jobs": (old, lambda: prune.prune_jobs(Past(FINAL, 60), 10)),
}


@pytest.mark.parametrize("duty", MANY)
def test_maintenance_passes_by_what_is_held(duty: str) -> None:
    make, take = MANY[duty]
    held, _ = make(), make()
    with holding(held):
        assert take() == 1
    if duty not in {"overdue", "redispatch_queue"}:
        # These two find the same rows again.
        assert take() == 1


@pytest.mark.parametrize("model", [Attempt, DeadLetter])
def test_a_job_stays_of_which_somebody_holds_what_goes_with_it(model: type[Model]) -> None:
    job = old()
    attempts.refuse(job.pk, 1, "worker@test", ERROR)
    dead_letter(job=job)
    with elsewhere() as other:
        other.execute(sql.SQL("SELECT 1 FROM {} FOR UPDATE").format(sql.Identifier(model._meta.db_table)))
        assert prune.prune_jobs(Past(FINAL, 60), 10) == 0
    assert prune.prune_jobs(Past(FINAL, 60), 10) == 1


def test_a_held_job_is_not_rescued() -> None:
    job = overdue(LEASE)
    [found] = leases.overdue(10)
    with holding(job):
        assert not leases.take_over(found, OTHER_LEASE, 60)
    assert leases.take_over(found, OTHER_LEASE, 60)


def test_an_operator_changes_what_is_free_and_is_told_how_many() -> None:
    held, free = written(), written()
    with holding(held):
        assert len(operate.cancel([held.pk, free.pk], "not wanted")) == 1
    assert len(operate.cancel([held.pk, free.pk], "not wanted")) == 1


def test_what_concerns_a_held_row_is_kept_and_keeps_nothing_else_from_being_written() -> None:
    held, free = dispatched(0), dispatched(0)
    pending_writes = Losses()
    pending_writes.put(Unsent([held.pk]))
    pending_writes.put(Unsent([free.pk]))
    with holding(held):
        pending_writes.write_all()
        assert pending_writes.unwritten() == [Unsent([held.pk])]
    pending_writes.write_all()
    assert pending_writes.unwritten() == []
    assert set(Job.objects.values_list("dispatched_at", flat=True)) == {None}
