"""When a failed job runs again, and whether."""

from hypothesis import given, strategies as st

from jobs.core.retry import RetryPolicy

draws = st.floats(0, 1, exclude_max=True)
attempts = st.integers(1, 10**6)
seconds = st.floats(0.001, 10**6)
policies = st.builds(
    RetryPolicy,
    max_retries=st.none() | st.integers(0, 100),
    backoff=st.just(0.0) | seconds,
    backoff_factor=st.floats(1, 1000),
    backoff_max=seconds,
    jitter=st.booleans() | st.floats(0, 1, exclude_max=True),
    default_delay=seconds,
)


def test_by_default_five_retries_follow_after_1_2_4_8_and_16_seconds() -> None:
    policy = RetryPolicy()
    delays = []
    attempt = 1
    while policy.has_retry_left(attempt):
        delays.append(policy.delay(attempt, lambda: 0.5))
        attempt += 1
    assert delays == [1, 2, 4, 8, 16]


def test_a_factor_of_five_makes_it_1_5_and_25_seconds() -> None:
    policy = RetryPolicy(backoff_factor=5, backoff_max=3600, jitter=False)
    assert [policy.delay(attempt, lambda: 0.5) for attempt in (1, 2, 3)] == [1, 5, 25]


@given(policies, attempts, draws)
def test_a_delay_is_never_negative_nor_beyond_the_longest(policy: RetryPolicy, attempt: int, draw: float) -> None:
    delay = policy.delay(attempt, lambda: draw)
    spread = 1 + (policy.jitter if policy.jitter is not True else 0)
    longest = policy.backoff_max * spread if policy.backoff else policy.default_delay
    assert 0 <= delay <= longest


@given(policies, st.integers(1, 1000))
def test_without_jitter_a_delay_is_never_shorter_than_the_one_before(policy: RetryPolicy, attempt: int) -> None:
    steady = RetryPolicy(backoff=policy.backoff, backoff_max=policy.backoff_max, jitter=False)
    assert steady.delay(attempt, lambda: 0.0) <= steady.delay(attempt + 1, lambda: 0.9)


@given(st.floats(0, 1, exclude_max=True), attempts, draws)
def test_a_share_as_jitter_spreads_to_both_sides_by_no_more(share: float, attempt: int, draw: float) -> None:
    plain = RetryPolicy(jitter=False).delay(attempt, lambda: 0)
    spread = RetryPolicy(jitter=share).delay(attempt, lambda: draw)
    assert abs(spread - plain) <= plain * share + 1e-9


@given(attempts, draws)
def test_jitter_as_true_draws_from_zero_as_celery_does(attempt: int, draw: float) -> None:
    plain = RetryPolicy(jitter=False).delay(attempt, lambda: 0)
    assert RetryPolicy(jitter=True).delay(attempt, lambda: draw) == plain * draw


@given(st.integers(0, 50), st.integers(1, 100))
def test_a_job_runs_once_more_than_it_may_be_retried(max_retries: int, attempt: int) -> None:
    assert RetryPolicy(max_retries=max_retries).has_retry_left(attempt) == (attempt < max_retries + 1)


@given(attempts)
def test_without_a_limit_there_is_always_a_retry_left(attempt: int) -> None:
    assert RetryPolicy(max_retries=None).has_retry_left(attempt)


def test_an_error_is_handled_if_it_is_listed_and_not_excepted() -> None:
    policy = RetryPolicy(autoretry_for=(OSError,), dont_autoretry_for=(TimeoutError,))
    assert policy.handles(ConnectionError())
    assert not policy.handles(TimeoutError())
    assert not policy.handles(ValueError())
