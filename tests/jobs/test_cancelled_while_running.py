"""An operator's cancel of a running job holds however its attempt ends: it does not run again."""

import asyncio
from typing import NamedTuple

import pytest
from asgiref.sync import sync_to_async

from jobs import Batch, JobTask, Snooze, check_cancelled, each, job, progress, step
from jobs.core import outcome as outcomes
from jobs.core.outcome import Outcome, Reason
from jobs.core.states import State
from jobs.ledger import operate
from jobs.ledger.attempts import Ended, Failure
from jobs.ledger.record import record_many
from jobs.models import Job
from jobs.worker.started_flags import started
from tests.jobs.delivery import InThisProcess, deliver
from tests.jobs.rows import ERROR, claimed

pytestmark = pytest.mark.django_db


def recorded(row: Job, outcome: Outcome, failure: Failure | None = ERROR, *, lost_worker: bool = False) -> Outcome:
    """Record how the attempt of a job ended, and return what became of it."""
    assert row.lease_id is not None
    return record_many([Ended(row.pk, row.lease_id, row.attempt, outcome, failure, lost_worker)]).became[row.pk]


GOES_ON: dict[str, Outcome] = {
    "fails": outcomes.RetryIn(0),
    "is lost with its worker": outcomes.RetryIn(0),
    "snoozes": outcomes.Snoozed(0),
    "is handed back": outcomes.Released(),
}


@pytest.mark.parametrize("end", GOES_ON)
def test_what_would_have_run_again_is_cancelled(end: str) -> None:
    row = claimed()
    assert operate.ask_to_cancel([row.pk]) == 1
    recorded(row, GOES_ON[end], lost_worker=end == "is lost with its worker")
    row.refresh_from_db()
    assert (row.state, row.lease_id, row.cancel_requested_at) == (State.CANCELLED, None, None)
    assert row.finished_at == row.changed_at
    assert row.last_error
    assert [attempt.outcome for attempt in row.attempts.all()] in ([], ["cancelled"])


def test_what_ended_before_it_could_be_ended_stays_as_it_ended() -> None:
    good, bad = claimed("1" * 32), claimed("2" * 32)
    operate.ask_to_cancel([good.pk, bad.pk])
    assert recorded(good, outcomes.Succeeded(), None) == outcomes.Succeeded()
    assert recorded(bad, outcomes.Dead(Reason.PERMANENT)) == outcomes.Dead(Reason.PERMANENT)
    good.refresh_from_db()
    bad.refresh_from_db()
    assert (good.state, bad.state) == (State.SUCCEEDED, State.DEAD)


@pytest.mark.parametrize("outcome", [outcomes.RetryIn(1), outcomes.Snoozed(1), outcomes.Released()])
@pytest.mark.parametrize("asked", [True, False])
def test_whoever_records_an_end_is_told_what_became_of_the_job(outcome: Outcome, asked: bool) -> None:
    row = claimed()
    if asked:
        operate.ask_to_cancel([row.pk])
    assert recorded(row, outcome) == (outcomes.Cancelled() if asked else outcome)


# --- A task that asks ---------------------------------------------------------------------------------


class Nothing(NamedTuple):
    """The arguments of a batch's jobs."""


@job(name="tests.asks")
def asks() -> None:
    check_cancelled()


@job(name="tests.asks_by_progress")
def asks_by_progress() -> None:
    progress(1, 2)


@job(name="tests.asks_in_a_coroutine")
async def asks_in_a_coroutine() -> None:
    await asyncio.sleep(0)
    check_cancelled()


@job(name="tests.asks_in_a_thread_of_a_coroutine")
async def asks_in_a_thread_of_a_coroutine() -> None:
    await sync_to_async(check_cancelled)()


@job(name="tests.asks_for_a_batch", batch=2)
def asks_for_a_batch(batch: Batch[Nothing]) -> None:
    check_cancelled()


@job(name="tests.asks_by_a_step")
def asks_by_a_step() -> None:
    step("first", int)


@job(name="tests.asks_by_rows")
def asks_by_rows() -> None:
    for _ in each("rows", range(3)):
        pass


ASKING: list[JobTask] = [
    asks,
    asks_by_progress,
    asks_by_a_step,
    asks_by_rows,
    asks_in_a_coroutine,
    asks_in_a_thread_of_a_coroutine,
]


@pytest.mark.parametrize("task", ASKING, ids=[task.name for task in ASKING])
@pytest.mark.parametrize("cancelled", [True, False])
def test_a_task_that_asks_is_ended_where_its_job_was_cancelled(task: JobTask, cancelled: bool) -> None:
    worker = InThisProcess()
    (reserved,) = worker.claim(task.delay().job.pk)
    if cancelled:
        started.cancel(reserved.slot)
    (report,) = worker.run(reserved)
    assert report.outcome == (outcomes.Cancelled() if cancelled else outcomes.Succeeded())
    assert started.has_asked(reserved.slot)


@pytest.mark.parametrize("cancelled", [0, 1, 2])
def test_a_batch_that_asks_is_ended_where_all_its_jobs_were_cancelled(cancelled: int) -> None:
    worker = InThisProcess()
    jobs = worker.claim(*[asks_for_a_batch.delay().job.pk for _ in range(2)])
    for reserved in jobs[:cancelled]:
        started.cancel(reserved.slot)
    expected = outcomes.Cancelled() if cancelled == 2 else outcomes.Succeeded()
    assert [report.outcome for report in worker.run(*jobs)] == [expected, expected]
    assert all(started.has_asked(reserved.slot) for reserved in jobs)


def test_outside_of_a_job_nobody_is_cancelled() -> None:
    check_cancelled()
    asks()


@job(name="tests.cancelled_while_running")
def unwanted(how: str) -> None:
    """Be cancelled while it runs, and end so that it would run again."""
    operate.ask_to_cancel([Job.objects.get(task="tests.cancelled_while_running").pk])
    raise Snooze(0) if how == "snooze" else ValueError("it failed")


@pytest.mark.parametrize("how", ["snooze", "fail"])
def test_a_task_that_fails_after_it_was_cancelled_is_not_tried_again(how: str) -> None:
    row = unwanted.delay(how).job
    deliver(row)
    assert row.state == State.CANCELLED
