"""Arguments are the same on every attempt and every database."""

import json
import math
from typing import Any

import pytest
from django.db import connection
from hypothesis import given, strategies as st

from jobs.core.canonical import DEEPEST, encode

TEXTS = st.text(st.characters(exclude_characters="\x00", codec="utf-8"), max_size=8)
KEYS = TEXTS | st.integers() | st.booleans() | st.none()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def exactly(value: Any) -> str:
    """Return a value with its types and the order of its keys, as a task sees it."""
    return repr(value)


@pytest.mark.postgres_only
@pytest.mark.django_db
@given(VALUES)
def test_what_the_database_gives_back_is_what_was_written(value: Any) -> None:
    text = encode(value)
    with connection.cursor() as cursor:
        cursor.execute("SELECT (%s::jsonb)::text", [text])
        (kept,) = cursor.fetchone()
    assert exactly(json.loads(kept)) == exactly(json.loads(text))


@given(VALUES)
def test_it_is_the_value_as_json_says_it(value: Any) -> None:
    assert json.loads(encode(value)) == json.loads(json.dumps(value))


@given(VALUES)
def test_reading_and_writing_again_changes_nothing(value: Any) -> None:
    text = encode(value)
    assert encode(json.loads(text)) == text


@pytest.mark.parametrize("number", [1e16, -1e16, 1e22, 1.5e300, 1e-300, 5e-324, -0.0, 0.1, 1.0, 9007199254740993.0])
def test_a_float_stays_a_float(number: float) -> None:
    read = json.loads(encode([number]))[0]
    assert (type(read), read) == (float, number)
    assert math.copysign(1, read) == (1 if number == 0 else math.copysign(1, number))


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_what_is_nested_too_deep_is_refused_before_anybody_must_read_it() -> None:
    assert json.loads(encode(nested(DEEPEST))) == nested(DEEPEST)
    for depth in (DEEPEST + 1, 900):
        with pytest.raises(ValueError, match="nested more than 200 deep"):
            encode(nested(depth))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, {(1, 2): 3}, object()])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode({"a": 1, "b": [value]} if not isinstance(value, dict) else {"a": 1, **value})
