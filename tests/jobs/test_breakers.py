"""While a dependency fails, the jobs that need it wait without an attempt, and one probes for all."""

import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from uuid_utils.compat import uuid7

from jobs import Batch, Breaker, Cancel, Permanent, Snooze, job
from jobs.core.breaker import BreakerState
from jobs.core.held_by import HeldBy
from jobs.core.states import State
from jobs.errors import InvalidOption
from jobs.flow import breakers as flow
from jobs.flow.claim import Worker, claim_from_lines
from jobs.flow.declared import declare
from jobs.ledger import breakers, hold, leases
from jobs.ledger.adopt import adopt
from jobs.ledger.enqueue import insert_many
from jobs.ledger.work import find_work
from jobs.models import BreakerChange, CircuitBreaker, FlowRule, Job
from jobs.operations.actions import pause_queue, resume_queue
from jobs.worker.deliveries import new_lease
from tests.jobs.delivery import InThisProcess
from tests.jobs.locks import elsewhere, never_waiting
from tests.jobs.races import at_once
from tests.jobs.rows import new_job
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db

DEPENDENCY = Breaker("tests.dependency", failures=3, ratio=0.5, minimum=10, pause=0.01, longest_pause=0.02)
PATIENT = Breaker("tests.patient", failures=2, pause=3600, longest_pause=7200)


@job(name="tests.breakers.needs", breaker=DEPENDENCY, max_retries=50, retry_backoff=False)
def needs(says: str = "") -> None:
    """Do what the dependency says."""
    errors = {"permanent": Permanent, "cancel": Cancel, "fail": OSError}
    if says == "snooze":
        raise Snooze(0)
    if says:
        raise errors[says]("421 too many connections")


@job(name="tests.breakers.patient", breaker=PATIENT, max_retries=50, retry_backoff=False)
def patient(says: str = "") -> None:
    """Do what the dependency says."""
    if says:
        raise OSError("421 too many connections")


@job(name="tests.breakers.batch", breaker="tests.patient", batch=5)
def in_a_batch(batch: Batch[str]) -> None:
    """Succeed."""


@job(name="tests.breakers.owned", breaker="tests.patient", tenant="tenant")
def owned(tenant: str) -> None:
    """Be somebody's, and succeed."""


@job(name="tests.breakers.free")
def free() -> None:
    """Need nothing."""


@pytest.fixture
def worker() -> InThisProcess:
    return InThisProcess()


def enqueued(task: Any, *args: str, times: int = 1) -> list[Job]:
    return [result.job for result in task.delay_many([args] * times)]


def opened(worker: InThisProcess, task: Any = patient, breaker: Breaker = PATIENT) -> None:
    """Open a breaker by failures."""
    worker.deliver_chunk(*(one.id for one in enqueued(task, "fail", times=breaker.failures)))
    assert state(breaker) == BreakerState.OPEN


def state(breaker: Breaker) -> str:
    return CircuitBreaker.objects.get(pk=breaker.name).state


def standing(job: Job) -> tuple[str, int, str | None]:
    job.refresh_from_db()
    return job.state, job.attempt, job.held_by


def due(breaker: Breaker = PATIENT) -> None:
    """Let the time of the next probe come."""
    CircuitBreaker.objects.filter(pk=breaker.name).update(next_probe_at=timezone.now() - timedelta(seconds=1))


def probe(worker: InThisProcess) -> None:
    """Let the worker run the job that probes."""
    [begun] = worker.claim_held(["default"])
    worker.record(worker.run(begun))


WAITS = (State.QUEUED, 0, HeldBy.BREAKER)


def test_failures_in_a_row_open_it_and_its_jobs_wait_without_an_attempt(worker: InThisProcess) -> None:
    opened(worker)
    [waits], [other] = enqueued(patient), enqueued(free)
    worker.deliver(waits.id, other.id)
    assert standing(waits) == WAITS
    assert (waits.dispatched_at, waits.held_back) == (None, "waits for tests.patient")
    assert standing(other)[0] == State.SUCCEEDED
    row = CircuitBreaker.objects.get(pk=PATIENT.name)
    assert (row.reason, row.openings) == ("OSError: 421 too many connections", 1)
    assert list(BreakerChange.objects.values_list("breaker", "state", "reason", "actor")) == [
        (PATIENT.name, "open", "OSError: 421 too many connections", "")
    ]


def test_a_share_of_failures_opens_it_once_there_are_enough_outcomes(worker: InThisProcess) -> None:
    worker.deliver_chunk(*(one.id for one in enqueued(needs, times=4)))
    for _ in range(2):
        worker.deliver_chunk(*(one.id for one in enqueued(needs, "fail", times=2)))
        worker.deliver(enqueued(needs)[0].id)
    assert state(DEPENDENCY) == BreakerState.CLOSED
    worker.deliver_chunk(*(one.id for one in enqueued(needs, "fail", times=2)))
    assert state(DEPENDENCY) == BreakerState.OPEN


@pytest.mark.parametrize("says", ["permanent", "cancel", "snooze"])
def test_what_is_the_jobs_own_does_not_open_it(worker: InThisProcess, valkey: Any, says: str) -> None:
    worker.deliver_chunk(*(one.id for one in enqueued(needs, says, times=20)))
    assert state(DEPENDENCY) == BreakerState.CLOSED


def test_outcomes_of_several_workers_count_together() -> None:
    for one in enqueued(patient, "fail", times=PATIENT.failures):
        InThisProcess().deliver(one.id)
    assert state(PATIENT) == BreakerState.OPEN


def test_successes_of_another_worker_end_a_row_of_failures() -> None:
    failing, well = InThisProcess(), InThisProcess()
    failing.deliver(enqueued(patient, "fail")[0].id)
    well.deliver(enqueued(patient)[0].id)
    failing.deliver(enqueued(patient, "fail")[0].id)
    assert state(PATIENT) == BreakerState.CLOSED


def test_when_its_time_has_come_one_job_probes_and_the_others_wait(worker: InThisProcess) -> None:
    opened(worker)
    due()
    jobs = enqueued(patient, times=3)
    Job.objects.filter(pk=jobs[1].pk).update(priority=9)
    [probe] = worker.claim(*(one.id for one in jobs))
    assert probe.job.id == jobs[1].id
    assert [standing(one) for one in (jobs[0], jobs[2])] == [WAITS, WAITS]
    assert state(PATIENT) == BreakerState.HALF_OPEN
    assert InThisProcess().claim(enqueued(patient)[0].id) == []


def test_a_probe_that_succeeds_closes_it_and_the_others_go_on(worker: InThisProcess) -> None:
    opened(worker)
    waiting = enqueued(patient, times=3)
    worker.deliver(*(one.id for one in waiting))
    due()
    worker.deliver(enqueued(patient)[0].id)
    assert state(PATIENT) == BreakerState.CLOSED
    assert flow.look_after() == (["default"], False)
    assert [standing(one) for one in waiting] == [(State.QUEUED, 0, None)] * 3
    worker.deliver_chunk(*(one.id for one in waiting))
    assert {standing(one)[0] for one in waiting} == {State.SUCCEEDED}
    assert list(BreakerChange.objects.values_list("state", flat=True)) == ["closed", "open"]


def test_a_probe_that_fails_keeps_it_open_for_longer_and_is_no_change(worker: InThisProcess) -> None:
    opened(worker)
    before = CircuitBreaker.objects.get(pk=PATIENT.name)
    due()
    [probe] = enqueued(patient, "fail")
    worker.deliver(probe.id)
    after = CircuitBreaker.objects.get(pk=PATIENT.name)
    assert (after.state, after.failed_probes, after.opened_at) == (BreakerState.OPEN, 1, before.opened_at)
    assert after.next_probe_at is not None
    assert after.next_probe_at > timezone.now() + timedelta(seconds=PATIENT.pause - 10)
    assert standing(probe)[:2] == (State.RETRYING, 1)
    assert BreakerChange.objects.count() == 1


@pytest.mark.parametrize("says", ["permanent", "cancel", "snooze"])
def test_a_probe_that_says_nothing_is_followed_by_another_at_once(
    worker: InThisProcess, valkey: Any, says: str
) -> None:
    opened(worker, needs, DEPENDENCY)
    due(DEPENDENCY)
    worker.deliver(enqueued(needs, says)[0].id)
    assert state(DEPENDENCY) == BreakerState.OPEN
    worker.deliver(enqueued(needs)[0].id)
    assert state(DEPENDENCY) == BreakerState.CLOSED


def test_a_probe_whose_worker_is_gone_is_followed_by_another(worker: InThisProcess) -> None:
    opened(worker)
    due()
    lost, waits = enqueued(patient, times=2)
    assert len(worker.claim(lost.id)) == 1
    InThisProcess().deliver(waits.id)
    assert standing(waits) == WAITS
    Job.objects.filter(pk=lost.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    [overdue] = leases.overdue(10)
    assert leases.take_over(overdue, "f" * 32, 10)
    probe(InThisProcess())
    assert standing(waits)[0] == State.SUCCEEDED
    assert state(PATIENT) == BreakerState.CLOSED


def test_what_began_before_it_opened_moves_it_no_more(worker: InThisProcess) -> None:
    begun = worker.claim(*(one.id for one in enqueued(patient, times=2)))
    opened(InThisProcess())
    worker.record(worker.run(*begun))
    assert state(PATIENT) == BreakerState.OPEN


def test_of_a_batch_one_job_probes(worker: InThisProcess) -> None:
    opened(worker)
    due()
    jobs = enqueued(in_a_batch, "a", times=4)
    assert [one.job.id for one in worker.claim(jobs[0].id)] == [jobs[0].id]


def test_the_most_urgent_that_is_held_back_probes_and_waits_for_no_message(worker: InThisProcess) -> None:
    opened(worker)
    jobs = enqueued(patient, times=3)
    worker.deliver(*(one.id for one in jobs))
    Job.objects.filter(pk=jobs[2].pk).update(priority=9)
    # Thousands may wait in the same queue, and be more urgent.
    insert_many([new_job(task=free.name, priority=9, id=uuid7()) for _ in range(5000)])
    assert worker.claim_held(["default"]) == []
    assert "probes" not in find_work(3, []).kinds
    due()
    assert "probes" in find_work(3, []).kinds
    [begun] = worker.claim_held(["default"])
    assert begun.job.id == jobs[2].id
    assert InThisProcess().claim_held(["default"]) == []
    assert Job.objects.filter(held_by=HeldBy.BREAKER).count() == 2
    worker.record(worker.run(begun))
    assert state(PATIENT) == BreakerState.CLOSED


def test_a_probe_is_of_a_queue_that_the_worker_takes_and_nobody_has_paused(worker: InThisProcess) -> None:
    opened(worker)
    [waits] = enqueued(patient)
    worker.deliver(waits.id)
    due()
    pause_queue("default", actor="ann")
    for queues in ([], ["other"], ["default"]):
        assert worker.claim_held(queues) == []
        CircuitBreaker.objects.update(probe_sent_at=None)
    assert standing(waits) == WAITS
    resume_queue("default", actor="ann")
    assert len(worker.claim_held(["default"])) == 1


def test_a_tenants_job_probes_whosever_turn_it_is(worker: InThisProcess) -> None:
    opened(worker)
    [read, held] = [owned.delay(tenant).job for tenant in ("small", "small")]
    for tenant in ("big", "small"):
        insert_many([new_job(task=free.name, tenant=tenant, priority=9, id=uuid7()) for _ in range(5)])
    worker.deliver(held.id)
    assert standing(held) == WAITS
    due()
    [begun] = worker.claim(read.id)
    assert begun.job.id == read.id
    worker.record(worker.run_calls([[begun]]))
    CircuitBreaker.objects.update(state=BreakerState.OPEN, opened_at=timezone.now(), next_probe_at=timezone.now())
    due()
    [begun] = worker.claim_held(["default"])
    assert begun.job.id == held.id


def test_jobs_go_on_in_slices_the_most_urgent_first(worker: InThisProcess) -> None:
    opened(worker)
    jobs = enqueued(patient, times=3)
    worker.deliver(*(one.id for one in jobs))
    Job.objects.filter(pk=jobs[2].pk).update(priority=9)
    assert breakers.release(PATIENT.name, 2) == ["default", "default"]
    assert [standing(one)[2] for one in jobs] == [None, HeldBy.BREAKER, None]


def test_a_job_that_was_held_back_while_it_closed_goes_on_all_the_same(worker: InThisProcess) -> None:
    opened(worker)
    [waits] = enqueued(patient)
    worker.deliver(waits.id)
    CircuitBreaker.objects.update(state=BreakerState.CLOSED, opened_at=None, next_probe_at=None)
    assert flow.look_after() == (["default"], False)
    assert standing(waits) == (State.QUEUED, 0, None)


def test_it_does_not_wait_for_newer_code(worker: InThisProcess) -> None:
    opened(worker)
    [waits] = enqueued(patient)
    worker.deliver(waits.id)
    assert hold.held(0, 10) == []
    assert hold.unhold([waits.id]) == []


# --- What it costs, and what is in its way --------------------------------------------------------


def test_successes_cost_a_few_statements_a_second_however_many_there_are(worker: InThisProcess) -> None:
    begun, batches = time.monotonic(), 30
    with CaptureQueriesContext(connection) as seen:
        for _ in range(batches):
            worker.record(worker.run(*worker.claim(enqueued(patient)[0].id)))
    of_breakers = [one for one in seen.captured_queries if '"jobs_breaker"' in str(one["sql"])]
    writings = 1 + (time.monotonic() - begun) / flow.SUCCESSES_WAIT
    # Locked, read, written; and the first time added.
    assert len(of_breakers) <= 3 * writings + 3


def test_what_waits_to_be_counted_is_counted_soon(worker: InThisProcess) -> None:
    worker.deliver(enqueued(patient)[0].id)
    worker.deliver_chunk(*(one.id for one in enqueued(patient, times=3)))
    wait_for(lambda: worker.recorder.is_due, flow.SUCCESSES_WAIT * 4)
    worker.recorder.write([])
    assert CircuitBreaker.objects.get(pk=PATIENT.name).window_total == 4
    assert not worker.recorder.is_due


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres_only
def test_a_breaker_that_somebody_has_locked_holds_up_no_record_and_no_claim(worker: InThisProcess) -> None:
    breakers.add([PATIENT.name])
    failing = worker.claim(*(one.id for one in enqueued(patient, "fail", times=2)))
    taken = worker.run_calls([[one] for one in failing])
    with elsewhere() as other, never_waiting():
        other.execute("SELECT 1 FROM jobs_breaker FOR UPDATE")
        worker.record(taken)
        assert set(Job.objects.values_list("state", flat=True)) == {State.RETRYING}
        assert worker.recorder.is_due
    worker.recorder.write([])
    assert state(PATIENT) == BreakerState.OPEN


def claim_alone(ids: list[uuid.UUID]) -> None:
    """Let each of these be claimed by a worker of its own, all at once."""

    def claim(number: int) -> None:
        InThisProcess().claim(ids[number])

    at_once(claim, len(ids))


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_probes() -> None:
    for _ in range(5):
        opened(InThisProcess())
        due()
        ids = [one.id for one in enqueued(patient, times=8)]
        claim_alone(ids)
        assert Job.objects.filter(state=State.RUNNING).count() == 1
        Job.objects.all().delete()
        CircuitBreaker.objects.all().delete()


# --- The option -----------------------------------------------------------------------------------


def test_every_way_to_enqueue_writes_the_breaker() -> None:
    unique = patient.apply_async(unique="k").job
    foreign = new_job(task=patient.name, breaker=patient.breaker)
    adopt(foreign)
    ids = [patient.delay().job.id, unique.id, foreign.id, *(one.id for one in enqueued(patient, times=2))]
    assert set(Job.objects.filter(pk__in=ids).values_list("breaker", flat=True)) == {PATIENT.name}
    assert free.delay().job.breaker is None


def test_a_breaker_that_nobody_declared_is_named_where_the_task_is_declared() -> None:
    with pytest.raises(InvalidOption, match="breaker='nobody' is not declared: give the Breaker itself"):
        job(breaker="nobody")


def test_one_breaker_with_other_figures_is_refused() -> None:
    with pytest.raises(InvalidOption, match="it is declared already, as Breaker"):
        job(breaker=Breaker(PATIENT.name, failures=99))
    job(breaker=Breaker(PATIENT.name, failures=2, pause=3600, longest_pause=7200))


@pytest.mark.parametrize("value", [5, True, ["smtp"]])
def test_what_is_no_breaker_is_refused(value: Any) -> None:
    with pytest.raises(InvalidOption, match="it must be a Breaker, or the name of one"):
        job(breaker=value)


# --- Beside limits --------------------------------------------------------------------------------


@job(name="tests.breakers.limited", breaker="tests.patient", concurrency=1, max_retries=50, retry_backoff=False)
def limited(says: str = "") -> None:
    """Do what the dependency says, one at a time."""
    if says:
        raise OSError("421 too many connections")


@pytest.fixture
def limits() -> None:
    """Let the limits that the code declares be in force, as a worker does at its start."""
    declare(current_app._get_current_object())


@pytest.mark.usefixtures("limits")
def test_a_job_in_line_for_a_limit_waits_for_its_breaker_and_probes(worker: InThisProcess) -> None:
    [running], [in_line] = enqueued(limited), enqueued(limited)
    begun = worker.claim(running.id)
    worker.claim(in_line.id)
    assert standing(in_line)[2] == HeldBy.LIMIT
    opened(InThisProcess())
    worker.record(worker.run(*begun))
    assert claim_from_lines([new_lease()], Worker("worker@test", {"default"}, 60)) == []
    assert flow.look_after() == ([], False)
    assert standing(in_line) == WAITS
    due()
    probe(worker)
    assert standing(in_line)[0] == State.SUCCEEDED
    assert state(PATIENT) == BreakerState.CLOSED


@pytest.mark.usefixtures("limits")
def test_a_job_that_its_limit_keeps_from_probing_is_held_back_as_before(worker: InThisProcess) -> None:
    [waits] = enqueued(limited)
    opened(InThisProcess())
    worker.deliver(waits.id)
    FlowRule.objects.filter(name=limited.name).update(paused_at=timezone.now())
    due()
    assert worker.claim_held(["default"]) == []
    assert standing(waits) == WAITS
    assert state(PATIENT) == BreakerState.OPEN
    FlowRule.objects.update(paused_at=None)
    # It is tried again in a while.
    assert worker.claim_held(["default"]) == []
    CircuitBreaker.objects.update(probe_sent_at=timezone.now() - timedelta(seconds=flow.PROBE_PATIENCE))
    probe(worker)
    assert standing(waits)[0] == State.SUCCEEDED


@pytest.mark.usefixtures("limits")
def test_a_probe_keeps_to_its_limits(worker: InThisProcess) -> None:
    begun = worker.claim(enqueued(limited)[0].id)
    opened(InThisProcess())
    due()
    [waits], [free_to_probe] = enqueued(limited), enqueued(patient)
    assert worker.claim(waits.id) == []
    assert state(PATIENT) == BreakerState.OPEN
    assert len(worker.claim(free_to_probe.id)) == 1
    assert len(begun) == 1


def test_maintenance_is_told_while_a_breaker_is_not_closed_or_still_holds_jobs(worker: InThisProcess) -> None:
    assert "breakers" not in find_work(3, []).kinds
    opened(worker)
    assert "breakers" in find_work(3, []).kinds
    worker.deliver(enqueued(patient)[0].id)
    CircuitBreaker.objects.update(state=BreakerState.CLOSED, opened_at=None, next_probe_at=None)
    assert "breakers" in find_work(3, []).kinds
    flow.look_after()
    assert "breakers" not in find_work(3, []).kinds
