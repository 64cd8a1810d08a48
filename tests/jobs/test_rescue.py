"""A worker takes back the jobs of workers that are gone, and of no others."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from celery import current_app
from django.db import DatabaseError, OperationalError, connection

from jobs.conf import conf
from jobs.core.states import State
from jobs.ledger import leases
from jobs.maintenance.renew import Leases
from jobs.maintenance.rescue import Rescue
from jobs.models import Job
from jobs.worker.engine import Engine
from tests.databases import Database
from tests.jobs.races import at_once
from tests.jobs.reserving import Reserving
from tests.jobs.rows import LEASE, claimed, written
from tests.jobs.wire import queue_length
from tests.servers import Postgres, Valkey
from tests.tasks_app import tasks


def make_rescue(worker: Reserving | None = None) -> Rescue:
    return Rescue(current_app._get_current_object(), cast("Engine", worker or Reserving()))


@pytest.fixture
def worker() -> Reserving:
    """The worker whose rescue it is."""
    return Reserving()


@pytest.fixture
def rescue(worker: Reserving) -> Rescue:
    """A worker's rescue that has been in touch with the database for long."""
    rescue = make_rescue(worker)
    rescue._in_touch_since, rescue._touched_at = time.monotonic() - 3600, time.monotonic()
    return rescue


def lost(**changes: Any) -> Job:
    return claimed(lease_seconds=-1, worker="gone@test", **changes)


@pytest.mark.django_db
def test_a_job_whose_lease_ran_out_is_tried_again(rescue: Rescue) -> None:
    job, held = lost(), claimed("b" * 32)
    assert not rescue.look()
    job.refresh_from_db()
    held.refresh_from_db()
    assert (job.state, job.worker_losses, held.state) == (State.RETRYING, 1, State.RUNNING)
    attempt = job.attempts.get()
    assert (attempt.error_type, attempt.outcome, attempt.worker) == ("WorkerLost", "retrying", "gone@test")
    assert "gone@test" in attempt.error


@pytest.mark.django_db
def test_a_job_on_its_last_attempt_is_dead(rescue: Rescue, valkey: Valkey) -> None:
    job = lost(task="tests.tasks_app.tasks.broken", args='["x"]', max_retries=0)
    rescue.look()
    job.refresh_from_db()
    assert job.state == State.DEAD
    assert queue_length(valkey, "default.dead") == 1


@pytest.mark.django_db
def test_a_job_that_lost_its_workers_too_often_is_poison(rescue: Rescue, valkey: Valkey) -> None:
    job = lost()
    Job.objects.update(worker_losses=conf().max_worker_losses - 1)
    rescue.look()
    job.refresh_from_db()
    assert (job.state, job.worker_losses) == (State.DEAD, conf().max_worker_losses)


@pytest.mark.django_db
def test_a_job_of_a_task_unknown_here_is_rescued_by_its_own_limit(rescue: Rescue, valkey: Valkey) -> None:
    one, two = lost(task="elsewhere.task", max_retries=3), lost(task="elsewhere.task", max_retries=0)
    rescue.look()
    one.refresh_from_db()
    two.refresh_from_db()
    assert (one.state, two.state) == (State.RETRYING, State.DEAD)


@pytest.mark.django_db
def test_a_worker_that_has_just_started_takes_nothing_back(rescue: Rescue) -> None:
    job = lost()
    newcomer = make_rescue()
    for _ in range(3):
        assert not newcomer.look()
    job.refresh_from_db()
    assert job.lease_id == LEASE


@pytest.mark.django_db
def test_after_a_long_silence_everybody_gets_the_time_to_renew_first(rescue: Rescue) -> None:
    job = lost()
    # Its process, its machine or the database stood still.
    rescue._touched_at -= conf().lease_seconds / 2
    rescue.look()
    job.refresh_from_db()
    assert job.lease_id == LEASE
    # Then the time has passed.
    rescue._in_touch_since -= conf().lease_renew_seconds * 1.5
    rescue.look()
    job.refresh_from_db()
    assert job.state == State.RETRYING


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_worker_without_jobs_notices_that_the_database_was_away(
    database: Database, postgres: Postgres, rescue: Rescue
) -> None:
    job = lost()
    connection.close()
    postgres.stop()
    Leases(cast("Engine", Reserving())).renew()
    with pytest.raises(OperationalError):
        rescue.look()
    connection.close()
    postgres.start()
    rescue._touched_at = time.monotonic() - conf().lease_seconds
    rescue.look()
    job.refresh_from_db()
    assert (job.state, job.lease_id) == (State.RUNNING, LEASE)


@pytest.mark.django_db
def test_a_lease_renewed_at_the_last_moment_is_not_taken(rescue: Rescue) -> None:
    job = lost()
    (overdue,) = leases.overdue(10)
    leases.renew([LEASE], 60)
    rescue._rescue(overdue)
    job.refresh_from_db()
    assert (job.state, job.lease_id, job.attempts.count()) == (State.RUNNING, LEASE, 0)


@pytest.mark.django_db
def test_what_a_worker_runs_itself_it_never_takes_back(worker: Reserving, rescue: Rescue) -> None:
    row = written(task=tasks.noop.name)
    job = worker.reserve(row, lease_seconds=-1)
    rescue.look()
    row.refresh_from_db()
    assert (row.state, row.lease_id) == (State.RUNNING, job.job.lease_id)


@pytest.mark.django_db
def test_the_worker_of_a_row_that_was_locked_for_long_may_renew_first(rescue: Rescue) -> None:
    job = claimed(lease_seconds=-600)
    rescue.look()
    job.refresh_from_db()
    assert job.lease_id == LEASE
    rescue.look()
    job.refresh_from_db()
    assert job.state == State.RETRYING


@contextmanager
def refusing_writes() -> Iterator[None]:
    """Let the database be read and not be written, as after a failover to a copy or with a full disk."""
    on, off = (
        ("SET default_transaction_read_only = on", "RESET default_transaction_read_only")
        if connection.vendor == "postgresql"
        else ("PRAGMA query_only = ON", "PRAGMA query_only = OFF")
    )
    with connection.cursor() as cursor:
        cursor.execute(on)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(off)


@pytest.mark.django_db(transaction=True)
def test_that_the_database_can_be_read_is_no_sign_that_anybody_could_renew(rescue: Rescue) -> None:
    job = lost()
    rescue._touched_at -= conf().lease_seconds / 2
    with refusing_writes():
        assert Job.objects.count() == 1
        for _ in range(2):
            with pytest.raises(DatabaseError):
                rescue.look()
    rescue.look()
    job.refresh_from_db()
    assert (job.state, job.lease_id) == (State.RUNNING, LEASE)


@pytest.mark.django_db
def test_after_a_write_that_was_refused_everybody_gets_the_time_to_renew(rescue: Rescue) -> None:
    job = lost()
    rescue.out_of_touch()
    rescue.look()
    job.refresh_from_db()
    assert job.lease_id == LEASE


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_rescues_each_job_and_sends_one_letter(valkey: Valkey) -> None:
    jobs = [lost(task="tests.tasks_app.tasks.broken", args='["x"]', max_retries=0) for _ in range(10)]

    def rescue(_: int) -> None:
        own = make_rescue()
        own._in_touch_since, own._touched_at = time.monotonic() - 3600, time.monotonic()
        own.look()

    at_once(rescue, 4)
    assert set(Job.objects.values_list("state", "worker_losses")) == {(State.DEAD, 1)}
    assert all(job.attempts.count() == 1 for job in jobs)
    assert queue_length(valkey, "default.dead") == len(jobs)
