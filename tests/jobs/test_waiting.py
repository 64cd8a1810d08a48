"""What a worker claims next: the most urgent, then the first to arrive; by the weights of queues, if there are any."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from hypothesis import given, strategies as st

from jobs.conf import queue_weights
from jobs.worker.waiting import Waiting
from project import env


@dataclass(frozen=True, eq=False)
class One:
    """A job that waits."""

    queue: str
    number: int = 0
    priority: int = 5


def jobs(queue: str, number: int, priority: int = 5) -> list[One]:
    return [One(queue, place, priority) for place in range(number)]


def filled(*found: One, **weights: float) -> Waiting[One]:
    waiting: Waiting[One] = Waiting(weights)
    waiting.extend(found)
    return waiting


def test_without_weights_the_most_urgent_go_first_whatever_their_queue() -> None:
    waiting = filled(*jobs("a", 2), *jobs("b", 1, priority=9))
    assert waiting.first().queue == "b"
    assert [(one.queue, one.number) for one in waiting.take(9)] == [("b", 0), ("a", 0), ("a", 1)]
    assert len(waiting) == 0
    with pytest.raises(IndexError):
        waiting.first()


def test_with_weights_queues_share_and_what_is_urgent_overtakes_its_own_queue() -> None:
    waiting = filled(*jobs("a", 40), *jobs("b", 40), *jobs("b", 1, priority=9), a=3)
    taken = waiting.take(8)
    assert Counter(one.queue for one in taken) == {"a": 6, "b": 2}
    assert [one.priority for one in taken if one.queue == "b"] == [9, 5]
    assert [one.number for one in taken if one.queue == "a"] == [*range(6)]


def test_a_queue_where_nothing_waits_leaves_its_share_to_the_others_and_gets_no_more_later() -> None:
    waiting = filled(*jobs("b", 60), a=3)
    assert Counter(one.queue for one in waiting.take(20)) == {"b": 20}
    waiting.extend(jobs("a", 40))
    assert Counter(one.queue for one in waiting.take(20)) == {"a": 15, "b": 5}


def test_all_can_be_taken_removed_and_looked_for() -> None:
    found = [*jobs("a", 3), *jobs("b", 3)]
    waiting = filled(*found, a=3)
    waiting.remove({found[0], found[4]})
    assert set(waiting) == {*found} - {found[0], found[4]}
    assert found[1] in waiting
    assert found[0] not in waiting
    assert len(waiting.take_all()) == 4
    assert list(waiting) == []


@given(
    weights=st.dictionaries(st.sampled_from("abc"), st.floats(0.01, 100)),
    waiting=st.dictionaries(st.sampled_from("abcd"), st.integers(0, 30)),
    takes=st.lists(st.integers(0, 9), max_size=20),
)
def test_nothing_is_lost_or_taken_twice_whatever_weighs_what(
    weights: dict[str, float], waiting: dict[str, int], takes: list[int]
) -> None:
    given = [one for queue, number in waiting.items() for one in jobs(queue, number)]
    lanes = filled(*given, **weights)
    taken: list[One] = []
    for number in takes:
        left = len(lanes)
        next_one = lanes.first() if left else None
        found = lanes.take(number)
        assert len(found) == min(number, left)
        assert not found or next_one in found
        taken += found
    assert len(set(taken)) == len(taken)
    assert {*taken, *lanes.take_all()} == {*given}


@pytest.mark.parametrize(
    "weights, said",
    [
        ({"email": 0}, "JOBS_QUEUE_WEIGHTS=email=0 is not valid"),
        ({"email": -1.0}, "JOBS_QUEUE_WEIGHTS=email=-1.0 is not valid"),
        ({"email": float("nan")}, "JOBS_QUEUE_WEIGHTS=email=nan is not valid"),
        ({"email": True}, "JOBS_QUEUE_WEIGHTS=email=True is not valid"),
        ({"email.dead": 2}, "JOBS_QUEUE_WEIGHTS names a queue 'email.dead'"),
    ],
)
def test_a_setting_that_is_no_weight_names_queue_and_value(weights: dict[str, Any], said: str) -> None:
    with override_settings(JOBS_QUEUE_WEIGHTS=weights), pytest.raises(ImproperlyConfigured, match=said):
        queue_weights()


@pytest.mark.parametrize("value", ["email", "email=", "email=much", "=3", "email=1,email=2"])
def test_a_variable_that_says_no_numbers_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NUMBERS", value)
    with pytest.raises(ImproperlyConfigured, match=r"SOME_NUMBERS='.*' is not valid: it must be names with numbers"):
        env.numbers("SOME_NUMBERS")


def test_a_variable_says_numbers_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NUMBERS", "email=3, default=0.5,")
    assert env.numbers("SOME_NUMBERS") == {"email": 3, "default": 0.5}
