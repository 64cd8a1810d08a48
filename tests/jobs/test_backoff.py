"""The pauses before what is out of reach is tried again."""

from hypothesis import given, strategies as st

from jobs.core.backoff import pause

draws = st.floats(0, 1, exclude_max=True)


def test_it_doubles_up_to_the_longest() -> None:
    assert [pause(failures, 0.5, 15, lambda: 1) for failures in (1, 2, 3, 6, 7, 10**6)] == [0.5, 1, 2, 15, 15, 15]


@given(st.integers(1, 10**9), draws)
def test_half_of_it_is_drawn_and_none_is_longer_than_the_longest(failures: int, drawn: float) -> None:
    whole = pause(failures, 0.5, 15, lambda: 1)
    assert whole / 2 <= pause(failures, 0.5, 15, lambda: drawn) <= whole <= 15
