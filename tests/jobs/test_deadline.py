"""`deadline`: by when a job's last attempt must have ended. Nothing is put off beyond it; what runs then is ended."""

from datetime import timedelta
from typing import Any, cast

import pytest
from celery import current_app
from celery.exceptions import Reject
from django.utils import timezone
from hypothesis import given, strategies as st

from jobs import InvalidOption, Permanent, Snooze, job
from jobs.core.outcome import Dead, Reason, RetryIn, Snoozed, Tries, after_error, after_loss
from jobs.core.retry import RetryPolicy
from jobs.core.states import State
from jobs.ledger import attempts, claims, enqueue_once, leases, operate
from jobs.models import Job
from jobs.tasks.running import RetryCall
from tests.jobs import verbs
from tests.jobs.delivery import InThisProcess, deliver
from tests.jobs.rows import LEASE, claim_as, new_job, next_moment, written
from tests.jobs.test_retry import draws, policies
from tests.tasks_app import tasks

pytestmark = pytest.mark.usefixtures("valkey")

FIXED = RetryPolicy(jitter=False)
errors = st.sampled_from(
    [ValueError("x"), Snooze(3), Snooze(0), Reject(requeue=True), RetryCall(None, 9, None), RetryCall(None, None, None)]
)


# --- What becomes of a job ------------------------------------------------------------------------


@given(errors, policies, st.integers(1, 20), st.floats(-100, 100), draws)
def test_nothing_is_put_off_to_the_deadline_or_beyond(
    error: Exception, policy: RetryPolicy, attempt: int, left: float, draw: float
) -> None:
    without = after_error(error, policy, Tries(attempt), lambda: draw)
    outcome = after_error(error, policy, Tries(attempt, seconds_left=left), lambda: draw)
    if isinstance(without, (RetryIn, Snoozed)) and without.delay >= left:
        assert outcome == Dead(Reason.DEADLINE)
    else:
        assert outcome == without


@given(policies, st.floats(-100, 100), draws)
def test_a_job_that_was_lost_with_its_worker_is_not_tried_again_beyond_its_deadline(
    policy: RetryPolicy, left: float, draw: float
) -> None:
    without = after_loss(policy, Tries(1), 3, lambda: draw)
    outcome = after_loss(policy, Tries(1, seconds_left=left), 3, lambda: draw)
    late = isinstance(without, RetryIn) and without.delay >= left
    assert outcome == (Dead(Reason.DEADLINE) if late else without)


def test_what_has_ended_for_good_has_its_own_reason_whatever_the_time() -> None:
    late = Tries(1, seconds_left=-5)
    assert after_error(Permanent("no"), FIXED, late, lambda: 0.5) == Dead(Reason.PERMANENT)
    assert after_error(ValueError(), RetryPolicy(max_retries=0), late, lambda: 0.5) == Dead(Reason.EXHAUSTED)


# --- What a call says -----------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_deadline_is_the_tasks_or_the_calls_in_seconds_or_as_a_time() -> None:
    def unheard_of() -> None: ...

    task = job(name="tests.tasks_app.until_then", deadline=3600)(unheard_of)
    try:
        own, given = task.delay().job, task.apply_async(deadline=timedelta(minutes=1)).job
    finally:
        current_app.tasks.pop(task.name, None)
    at = timezone.now() + timedelta(hours=2)
    rows = [tasks.noop.apply_async(deadline=at).job, *[r.job for r in tasks.noop.delay_many([()], deadline=60)]]
    assert own.deadline_at is not None
    assert given.deadline_at is not None
    assert (own.deadline_at - own.created_at, given.deadline_at - given.created_at) == (
        timedelta(hours=1),
        timedelta(minutes=1),
    )
    assert rows[0].deadline_at == at
    assert rows[1].deadline_at is not None
    assert timedelta(seconds=50) < rows[1].deadline_at - rows[1].created_at < timedelta(seconds=70)
    assert tasks.noop.delay().job.deadline_at is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "options, words",
    [
        ({"deadline": "soon"}, "deadline='soon' is not valid: it must be seconds"),
        ({"deadline": -1}, "deadline=-1 is not valid"),
        ({"deadline": 0}, "deadline=0 is not valid: it passes before the job may begin; give a later one"),
        ({"deadline": 10, "countdown": 10}, "deadline=10 is not valid: it passes before the job may begin"),
        ({"deadline": timezone.now() - timedelta(1)}, "deadline=.* is not valid: it passes before the job may begin"),
        ({"deadline": 5, "eta": timezone.now() + timedelta(1)}, "deadline=5 is not valid: it passes before"),
    ],
)
def test_a_deadline_that_cannot_be_kept_is_refused_at_the_call(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOption, match=words):
        tasks.noop.apply_async(**options)
    assert not Job.objects.exists()


@pytest.mark.parametrize("value", [0, -1, "1h", True])
def test_a_deadline_that_is_none_is_refused_at_the_declaration(value: object) -> None:
    with pytest.raises(InvalidOption, match=r"deadline=.* is not valid: it must be seconds above zero, or None"):
        cast("Any", job)(deadline=value)(lambda: None)


# --- What a worker does ---------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_claim_says_how_much_time_is_left() -> None:
    row, other = written(deadline_in=60), written()
    found = claims.claim_many({row.pk: "1" * 32, other.pk: "2" * 32}, lease_seconds=60, worker="w").claimed
    assert 30 < found[0].seconds_left < 60.01
    assert found[1].seconds_left == float("inf")
    held = leases.held(row.pk, "1" * 32)
    assert held is not None
    assert held.seconds_left is not None
    assert 30 < held.seconds_left < 60.01


@pytest.mark.django_db
def test_a_job_whose_deadline_has_passed_does_not_begin() -> None:
    row = written(deadline_in=0.001)
    next_moment()
    deliver(row)
    assert (row.state, row.attempts.get().error_type) == (State.DEAD, "DeadlinePassed")
    assert row.last_error == "DeadlinePassed: The job's deadline passed before it could begin."


@job(name="tests.slow_to_retry", retry_backoff=100, retry_backoff_max=100)
def slow_to_retry() -> None:
    raise ValueError("it failed")


@pytest.mark.django_db
@pytest.mark.parametrize("deadline, state", [(60, State.DEAD), (600, State.RETRYING)])
def test_a_job_whose_next_attempt_would_begin_after_its_deadline_gives_up_with_its_own_error(
    deadline: float, state: State
) -> None:
    row = slow_to_retry.apply_async(deadline=deadline).job
    worker = InThisProcess()
    reports = worker.run(*worker.claim(row.pk))
    assert reports[0].outcome == Dead(Reason.DEADLINE) or state == State.RETRYING
    worker.write(worker.ends(reports))
    row.refresh_from_db()
    assert (row.state, row.attempts.get().error_type) == (state, "ValueError")


@pytest.mark.django_db
def test_a_job_that_an_operator_puts_back_has_no_deadline_any_more() -> None:
    row = written(deadline_in=0.001)
    next_moment()
    deliver(row)
    assert len(operate.requeue([row.pk])) == 1
    deliver(row)
    assert (row.state, row.deadline_at) == (State.SUCCEEDED, None)


@pytest.mark.django_db
def test_a_success_that_comes_after_its_deadline_was_recorded_does_not_count() -> None:
    row = Job.objects.get(pk=enqueue_once.write(new_job()).id)
    claim_as(row, LEASE)
    assert verbs.retry(row.pk, LEASE, 60, attempts.Failure(attempts.TOO_LATE, "late"))
    assert not attempts.succeed_late(row.pk, 1, "worker@test")
