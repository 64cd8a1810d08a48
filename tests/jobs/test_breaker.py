"""When a breaker opens, probes and closes: the pure rules."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from jobs.core import outcome as outcomes
from jobs.core.breaker import (
    Breaker,
    BreakerState,
    Run,
    Status,
    Verdict,
    counted,
    opened_by_hand,
    probed,
    probing,
    runs,
    verdict,
)
from jobs.core.held_by import HeldBy
from jobs.core.outcome import Outcome, Reason
from jobs.errors import InvalidOption

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD, BAD, NOTHING = Verdict.GOOD, Verdict.BAD, Verdict.NOTHING

verdicts = st.lists(st.sampled_from(Verdict), max_size=60)
breakers = st.builds(
    Breaker,
    name=st.just("smtp"),
    failures=st.integers(1, 12),
    ratio=st.floats(0.05, 1),
    minimum=st.integers(1, 30),
)


def half() -> float:
    return 0.5


def after(breaker: Breaker, *ended: Verdict, status: Status | None = None, at: datetime = NOW) -> Status:
    return counted(status or Status(), runs(ended), breaker, at, half)


def opened(breaker: Breaker) -> Status:
    return after(breaker, *[BAD] * breaker.failures)


@given(verdicts, breakers)
def test_outcomes_count_the_same_together_as_one_by_one(ended: list[Verdict], breaker: Breaker) -> None:
    status = Status()
    for one in ended:
        status = after(breaker, one, status=status)
    together = after(breaker, *ended)
    assert together.state == status.state
    if together.state is BreakerState.CLOSED:
        assert (together.failures, together.window_total) == (status.failures, status.window_total)


@given(verdicts, breakers)
def test_a_breaker_opens_at_the_first_failure_by_which_a_rule_holds(ended: list[Verdict], breaker: Breaker) -> None:
    counting = [one for one in ended if one is not NOTHING]

    def holds(upto: int) -> bool:
        seen = counting[:upto]
        in_a_row = len(seen) - max((place + 1 for place, one in enumerate(seen) if one is GOOD), default=0)
        share = seen.count(BAD) >= breaker.ratio * len(seen) and len(seen) >= breaker.minimum
        return seen[-1] is BAD and (in_a_row >= breaker.failures or share)

    is_open = any(holds(upto) for upto in range(1, len(counting) + 1))
    assert (after(breaker, *ended).state is BreakerState.OPEN) is is_open


@given(verdicts, breakers)
def test_what_says_nothing_changes_nothing(ended: list[Verdict], breaker: Breaker) -> None:
    assert after(breaker, *ended) == after(breaker, *(one for one in ended if one is not NOTHING))


def test_a_success_ends_a_row_of_failures() -> None:
    breaker = Breaker("smtp", failures=3)
    assert after(breaker, BAD, BAD, GOOD, BAD, BAD).state is BreakerState.CLOSED
    assert after(breaker, BAD, BAD, GOOD, BAD, BAD, BAD).state is BreakerState.OPEN


def test_a_window_of_too_few_outcomes_does_not_open_it() -> None:
    breaker = Breaker("smtp", failures=100, ratio=0.5, minimum=10)
    assert after(breaker, *[GOOD, BAD] * 4, BAD).state is BreakerState.CLOSED
    assert after(breaker, *[GOOD, BAD] * 5).state is BreakerState.OPEN


def test_a_window_that_is_over_is_forgotten() -> None:
    breaker = Breaker("smtp", failures=100, ratio=0.5, minimum=4, window=60)
    begun = after(breaker, GOOD, BAD, BAD)
    assert after(breaker, BAD, status=begun, at=NOW + timedelta(seconds=59)).state is BreakerState.OPEN
    assert after(breaker, BAD, status=begun, at=NOW + timedelta(seconds=60)).window_total == 1


def test_a_clock_that_was_set_back_begins_a_new_window() -> None:
    breaker = Breaker("smtp", window=60)
    begun = after(breaker, GOOD, BAD)
    earlier = NOW - timedelta(hours=1)
    assert after(breaker, GOOD, status=begun, at=earlier).window_start == earlier


@given(verdicts, breakers)
def test_what_began_before_it_opened_does_not_move_an_open_breaker(ended: list[Verdict], breaker: Breaker) -> None:
    for status in (opened(breaker), probing(opened(breaker)), opened_by_hand(Status(), NOW)):
        assert after(breaker, *ended, status=status) == status


def test_a_probe_that_succeeds_closes_it_with_nothing_counted() -> None:
    breaker = Breaker("smtp")
    assert probed(probing(opened(breaker)), GOOD, breaker, NOW, half) == Status()


@given(st.integers(1, 40), st.floats(0.1, 100), st.floats(1, 50), st.floats(0, 1, exclude_max=True))
def test_pauses_double_up_to_the_longest_and_half_of_each_is_chance(
    probes: int, first: float, times: float, drawn: float
) -> None:
    breaker = Breaker("smtp", pause=first, longest_pause=first * times)
    status = opened(breaker)
    for failed in range(1, probes + 1):
        status = probed(probing(status), BAD, breaker, NOW, lambda: drawn)
        assert status.state is BreakerState.OPEN
        assert status.opened_at == NOW
        assert status.next_probe_at is not None
        whole = min(breaker.longest_pause, first * 2**failed)
        waits = (status.next_probe_at - NOW).total_seconds()
        assert whole / 2 - 1e-5 <= waits <= whole + 1e-5


def test_a_probe_that_says_nothing_is_followed_by_another_at_once() -> None:
    breaker = Breaker("smtp")
    failed = probed(probing(opened(breaker)), BAD, breaker, NOW, half)
    later = NOW + timedelta(hours=1)
    status = probed(probing(failed), NOTHING, breaker, later, half)
    assert status.is_due(later)
    assert status.failed_probes == 1


def test_a_breaker_is_due_when_its_pause_is_over_and_never_twice() -> None:
    breaker = Breaker("smtp", pause=10)
    status = opened(breaker)
    assert not status.is_due(NOW + timedelta(seconds=7))
    assert status.is_due(NOW + timedelta(seconds=7.5))
    assert not probing(status).is_due(NOW + timedelta(days=1))


def test_one_that_a_person_opened_is_never_due() -> None:
    status = opened_by_hand(opened(Breaker("smtp")), NOW + timedelta(hours=1))
    assert not status.is_due(NOW + timedelta(days=365))
    assert status.opened_at == NOW


@pytest.mark.parametrize(
    "outcome, lost_worker, says",
    [
        (outcomes.Succeeded(), False, GOOD),
        (outcomes.RetryIn(1), False, BAD),
        (outcomes.RetryIn(1), True, NOTHING),
        (outcomes.Dead(Reason.EXHAUSTED), False, BAD),
        (outcomes.Dead(Reason.EXHAUSTED), True, NOTHING),
        *((outcomes.Dead(reason), False, NOTHING) for reason in Reason if reason is not Reason.EXHAUSTED),
        (outcomes.Snoozed(1), False, NOTHING),
        (outcomes.Cancelled(), False, NOTHING),
        (outcomes.Released(), False, NOTHING),
        (outcomes.HeldBack(HeldBy.INVALID), False, NOTHING),
    ],
)
def test_only_what_the_dependency_did_counts(outcome: Outcome, lost_worker: bool, says: Verdict) -> None:
    assert verdict(outcome, lost_worker=lost_worker) is says


def test_runs_are_outcomes_in_their_order() -> None:
    assert runs([GOOD, GOOD, NOTHING, GOOD, BAD, NOTHING, GOOD]) == [
        Run(good=True, count=3),
        Run(good=False, count=1),
        Run(good=True, count=1),
    ]


@pytest.mark.parametrize(
    "figures, said",
    [
        ({"name": ""}, "name=''"),
        ({"name": "SMTP"}, "name='SMTP'"),
        ({"name": "x" * 51}, "name="),
        ({"failures": 0}, "failures=0"),
        ({"failures": True}, "failures=True"),
        ({"failures": 2.5}, "failures=2.5"),
        ({"minimum": -1}, "minimum=-1"),
        ({"ratio": 0}, "ratio=0"),
        ({"ratio": 1.01}, "ratio=1.01"),
        ({"ratio": "half"}, "ratio='half'"),
        ({"window": 0}, "window=0"),
        ({"window": float("nan")}, "window=nan"),
        ({"pause": float("inf")}, "pause=inf"),
        ({"pause": 60, "longest_pause": 30}, "longest_pause=30"),
    ],
)
def test_a_figure_that_cannot_be_is_refused_by_name(figures: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidOption, match="is not valid: it must be") as refused:
        Breaker(**{"name": "smtp", **figures})
    assert said in str(refused.value)
