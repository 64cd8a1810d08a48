"""Limits, decided without a database: what a rate is, when jobs begin, how many run at once."""

import pytest
from hypothesis import given, strategies as st

from jobs.core.limits import AHEAD_SECONDS, Gate, Limit, Rate, admit, is_rate, waits

rates = st.floats(min_value=0.5, max_value=5000)
bursts = st.integers(min_value=1, max_value=20)


@pytest.mark.parametrize(
    "text, interval, written",
    [
        ("100/s", 0.01, "100/s"),
        ("10/m", 6.0, "10/m"),
        ("1/h", 3600.0, "1/h"),
        ("0.5/s", 2.0, "0.5/s"),
        (20, 0.05, "20/s"),
        (2.5, 0.4, "2.5/s"),
    ],
)
def test_a_rate_is_read_and_written(text: object, interval: float, written: str) -> None:
    rate = Rate.read(text)
    assert rate.interval == pytest.approx(interval)
    assert str(rate) == written
    assert Rate.read(str(rate)) == rate


@pytest.mark.parametrize(
    "value",
    ["", "100", "0/s", "0.0/m", "-1/s", "10/d", "10/sec", "ten/s", "10/", "/s", "1e3/s", "٣/s", "10 /s", 0, -3, True,
     None, [], float("nan"), float("inf"), 10**12],
)  # fmt: skip
def test_what_is_no_rate_is_refused_with_the_rule(value: object) -> None:
    with pytest.raises(ValueError, match="no rate: it must be a number above zero and a unit"):
        Rate.read(value)
    assert not is_rate(value)


@given(rate=rates, burst=bursts, waits=st.lists(st.floats(min_value=0, max_value=3), max_size=30))
def test_in_no_stretch_of_time_begin_more_than_burst_and_rate_allow(
    rate: float, burst: int, waits: list[float]
) -> None:
    """However often and unevenly is asked, n starts span at least (n - burst) intervals: what GCRA promises."""
    interval, tat, clock, starts = 1 / rate, 0.0, 0.0, list[float]()
    for wait in waits:
        clock += wait
        gate = Gate(1, interval, burst, tat - clock)
        admission = admit((((), [gate]) for _ in range(7)), most=7)
        starts += [clock + at for _, at in admission.begin]
        assert all(at <= AHEAD_SECONDS for _, at in admission.begin)
        tat = clock + gate.tat
    for first in range(len(starts)):
        for last in range(first, len(starts)):
            assert starts[last] - starts[first] >= (last - first + 1 - burst) * interval - 1e-6
    assert starts == sorted(starts)


@given(rate=st.floats(min_value=5, max_value=300), burst=bursts)
def test_while_jobs_wait_and_workers_look_in_time_no_start_goes_unused(rate: float, burst: int) -> None:
    interval, tat, begun = 1 / rate, 0.0, 0
    looks, every = 12, AHEAD_SECONDS / 2
    most = int(2 * rate) + burst + 2
    for look in range(looks):
        gate = Gate(1, interval, burst, tat - look * every)
        begun += len(admit((((), [gate]) for _ in range(most)), most).begin)
        tat = look * every + gate.tat
    assert begun >= (looks - 1) * every * rate + AHEAD_SECONDS * rate - 2


@given(
    free=st.lists(st.integers(min_value=-2, max_value=6), min_size=1, max_size=4),
    jobs=st.lists(st.sets(st.integers(min_value=0, max_value=3)), max_size=40),
    most=st.integers(min_value=0, max_value=40),
)
def test_no_gate_lets_more_run_than_it_has_free_and_who_could_begin_does(
    free: list[int], jobs: list[set[int]], most: int
) -> None:
    gates = [Gate(number, free=count) for number, count in enumerate(free)]
    own = [[gates[number] for number in sorted(numbers) if number < len(gates)] for numbers in jobs]
    admission = admit(enumerate(own), most)
    begun = [job for job, _ in admission.begin]
    for number, count in enumerate(free):
        assert sum(gates[number] in own[job] for job in begun) <= max(0, count)
    # What nothing limits always may.
    assert len(begun) <= max(most, sum(not limits for limits in own))
    assert begun == sorted(begun)
    # Each that waits does so for a gate of its own that is full.
    assert all(gates[rule] in own[job] and gates[rule].opens_in > 0 for job, rule in admission.wait)
    if len(begun) < most:
        assert len(begun) + len(admission.wait) == len(jobs)


def test_of_several_limits_the_last_to_open_says_when_and_all_keep_the_count() -> None:
    quick, slow = Gate(1, interval=0.1), Gate(2, interval=0.4)
    admission = admit([(number, [quick, slow]) for number in range(5)], most=5)
    assert [at for _, at in admission.begin] == pytest.approx([0.0, 0.4, 0.8])
    assert admission.wait == [(3, 2), (4, 2)]
    assert quick.tat == pytest.approx(0.9)


def test_the_figures_of_a_limit_are_said_in_words() -> None:
    assert str(Limit("10/s", 2, 3, is_per_key=True)) == "rate_limit='10/s', burst=2, concurrency=3, key="
    assert str(Limit()) == "none"


def test_what_a_limit_would_have_done_to_the_past_is_computed() -> None:
    assert waits([(0, 1), (0, 1), (0, 1), (10, 1)], Limit(concurrency=1)) == [0, 1, 2, 0]
    assert waits([(0, 9), (0, 9), (0, 9), (10, 9)], Limit("1/s")) == [0, 1, 2, 0]
    assert waits([(0, 9), (0, 9), (0, 9)], Limit("1/s", burst=2)) == [0, 0, 1]
    assert waits([(0, 5), (0, 5), (0, 5)], Limit("1/s", concurrency=2)) == [0, 1, 5]
    assert waits([(0, 5)] * 3, Limit()) == [0, 0, 0]
