"""How pages show states, times and durations."""

from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template

from jobs.core.states import State
from jobs.operations.wording import ago, duration
from jobs.templatetags.look import SHAPES

NOW = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)


def shown(source: str, **context: object) -> str:
    return Template("{% load look %}" + source).render(Context(context))


def test_every_state_has_a_shape_of_its_own() -> None:
    assert set(SHAPES) == set(State)
    assert len(set(SHAPES.values())) == len(State)


@pytest.mark.parametrize("state", State)
def test_a_state_is_shape_word_and_hue(state: State) -> None:
    html = shown("{% state state %}", state=state)
    assert html.startswith(f'<span class="state {state}"><svg class="icon" viewBox="0 0 16 16" aria-hidden="true">')
    assert SHAPES[state] in html
    assert html.endswith(f"</svg>{state}</span>")


def test_another_word_is_escaped() -> None:
    assert "&lt;b&gt;" in shown('{% state "dead" word %}', word="<b>")


@pytest.mark.parametrize(
    "seconds,words",
    [
        (0, "just now"),
        (4, "just now"),
        (5, "5 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (89, "1 min ago"),
        (90, "2 min ago"),
        (3569, "59 min ago"),
        (3570, "1 h ago"),
        (7199, "2 h ago"),
        (7200, "2 h ago"),
        (84_599, "23 h ago"),
        (84_600, "1 day ago"),
        (86_400, "1 day ago"),
        (200_000, "2 days ago"),
        (-90, "in 2 min"),
        (-7199, "in 2 h"),
        # A token that was made a moment ago for two days.
        (-172_799, "in 2 days"),
        (-172_400, "in 2 days"),
    ],
)
def test_times_are_told_as_people_do(seconds: int, words: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words


def test_a_time_keeps_the_exact_one_in_its_title() -> None:
    html = shown("{% moment at now %}", at=NOW - timedelta(minutes=3), now=NOW)
    assert html == (
        '<time datetime="2026-03-01T02:27:00+00:00" title="2026-03-01 02:27:00 UTC" data-relative>3 min ago</time>'
    )
    assert shown("{% moment at %}", at=None) == '<span class="soft">–</span>'  # noqa: RUF001  A dash, on purpose.


@pytest.mark.parametrize(
    "value,words",
    [
        (None, "–"),  # noqa: RUF001  A dash, on purpose.
        (0, "0 ms"),
        (0.0124, "12 ms"),
        (0.9996, "1.0 s"),
        (1.24, "1.2 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (89.4, "1 min"),
        (119, "2 min"),
        (3569.4, "59 min"),
        (3569.6, "1 h"),
        (timedelta(hours=5, minutes=59), "6 h"),
        (timedelta(hours=23, minutes=40), "1 day"),
        (timedelta(days=2), "2 days"),
        (timedelta(days=2) - timedelta(seconds=1), "2 days"),
    ],
)
def test_durations_have_one_unit(value: float | timedelta | None, words: str) -> None:
    assert duration(value) == words


def test_ids_are_shortened_to_what_differs() -> None:
    assert shown("{{ id|short_id }}", id="0199f7a2-0000-7000-8000-00000abcdef1") == "0abcdef1"
