"""What becomes of a job after an attempt."""

import pytest
from celery.exceptions import Ignore, Reject, Retry
from hypothesis import given, strategies as st

from jobs import Cancel, Permanent, Snooze
from jobs.core.outcome import (
    Cancelled,
    Dead,
    Outcome,
    Reason,
    RetryIn,
    Snoozed,
    Succeeded,
    Tries,
    after_error,
    after_loss,
)
from jobs.core.retry import RetryPolicy
from jobs.tasks.running import RetryCall
from tests.jobs.test_retry import draws, policies

tries = st.builds(Tries, attempt=st.integers(1, 200), worker_losses=st.integers(0, 10))
errors = st.sampled_from([ValueError("x"), OSError(), MemoryError(), RecursionError(), StopIteration(), TimeoutError()])


def after(error: BaseException, attempt: int = 1, policy: RetryPolicy | None = None) -> Outcome:
    return after_error(error, policy or RetryPolicy(jitter=False), Tries(attempt), lambda: 0.5)


@given(errors, policies, tries, draws)
def test_an_error_is_retried_exactly_while_a_retry_is_left(
    error: Exception, policy: RetryPolicy, tries: Tries, draw: float
) -> None:
    outcome = after_error(error, policy, tries, lambda: draw)
    if policy.has_retry_left(tries.attempt):
        assert outcome == RetryIn(policy.delay(tries.attempt, lambda: draw))
    else:
        assert outcome == Dead(Reason.EXHAUSTED)


@given(policies, st.integers(0, 50))
def test_every_failing_job_comes_to_an_end(policy: RetryPolicy, max_retries: int) -> None:
    limited = RetryPolicy(max_retries=max_retries, backoff=policy.backoff, jitter=policy.jitter)
    outcomes = [after_error(ValueError(), limited, Tries(n), lambda: 0.1) for n in range(1, max_retries + 2)]
    assert all(isinstance(outcome, RetryIn) for outcome in outcomes[:-1])
    assert outcomes[-1] == Dead(Reason.EXHAUSTED)


def test_an_error_that_is_not_to_be_retried_is_permanent() -> None:
    policy = RetryPolicy(autoretry_for=(OSError,), dont_autoretry_for=(TimeoutError,))
    assert isinstance(after(ConnectionError(), policy=policy), RetryIn)
    assert after(TimeoutError(), policy=policy) == Dead(Reason.PERMANENT)
    assert after(ValueError(), policy=policy) == Dead(Reason.PERMANENT)


@given(policies, tries)
def test_what_a_task_says_of_its_own_job_counts_more_than_any_policy(policy: RetryPolicy, tries: Tries) -> None:
    def outcome(error: BaseException) -> Outcome:
        return after_error(error, policy, tries, lambda: 0.5)

    assert outcome(Permanent("no")) == Dead(Reason.PERMANENT)
    assert outcome(Snooze(7)) == Snoozed(7)
    assert outcome(Cancel()) == Cancelled()
    assert outcome(Ignore()) == Succeeded()
    assert outcome(Reject(requeue=False)) == Dead(Reason.REJECTED)
    back = outcome(Reject(requeue=True))
    assert back == Snoozed(max(1.0, policy.delay(tries.attempt, lambda: 0.5)))


@pytest.mark.parametrize(
    "call, attempt, outcome",
    [
        (RetryCall(None, None, None), 1, RetryIn(1)),
        (RetryCall(None, None, None), 3, RetryIn(4)),
        (RetryCall(None, 40, None), 3, RetryIn(40)),
        (RetryCall(None, -3, None), 1, RetryIn(0)),
        (RetryCall(None, None, None), 5, RetryIn(16)),
        (RetryCall(None, None, None), 6, Dead(Reason.EXHAUSTED)),
        (RetryCall(None, 40, None), 6, Dead(Reason.EXHAUSTED)),
        (RetryCall(None, None, 0), 1, Dead(Reason.EXHAUSTED)),
        (RetryCall(None, 2, 7), 7, RetryIn(2)),
        (RetryCall(None, 2, 7), 8, Dead(Reason.EXHAUSTED)),
        (Retry("a plain one"), 2, RetryIn(2)),
    ],
)
def test_a_call_of_retry_chooses_delay_and_limit_for_itself(call: Retry, attempt: int, outcome: Outcome) -> None:
    assert after(call, attempt) == outcome


def test_a_call_of_retry_is_heard_though_its_cause_is_not_one_to_retry() -> None:
    policy = RetryPolicy(autoretry_for=(), jitter=False)
    assert after(RetryCall(ValueError(), None, None), policy=policy) == RetryIn(1)


@given(policies, tries, st.integers(1, 10), draws)
def test_a_job_that_keeps_killing_its_workers_is_poison(
    policy: RetryPolicy, tries: Tries, limit: int, draw: float
) -> None:
    outcome = after_loss(policy, tries, limit, lambda: draw)
    if tries.worker_losses + 1 >= limit:
        assert outcome == Dead(Reason.POISON)
    elif policy.has_retry_left(tries.attempt):
        assert outcome == RetryIn(policy.delay(tries.attempt, lambda: draw))
    else:
        assert outcome == Dead(Reason.EXHAUSTED)


@given(st.floats(allow_nan=True) | st.text() | st.none() | st.booleans())
def test_a_snooze_is_some_seconds_or_refused(seconds: object) -> None:
    sensible = isinstance(seconds, float) and 0 <= seconds < 10**10
    if sensible:
        assert after(Snooze(seconds)) == Snoozed(seconds)  # type: ignore[arg-type]
    else:
        with pytest.raises(ValueError, match="Snooze takes"):
            Snooze(seconds)  # type: ignore[arg-type]
