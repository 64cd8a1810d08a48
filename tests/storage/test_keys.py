"""Keys: made from anything, refused where a store would stumble."""

import pytest
from hypothesis import given, strategies as st

from storage import keys
from storage.errors import InvalidKey

SURROGATES_TOO = st.characters(codec=None, exclude_categories=())


def test_join_escapes_odd_characters() -> None:
    assert keys.join("posts", "Grüße & more.jpg") == "posts/Gr=C3=BC=C3=9Fe=20=26=20more.jpg"


def test_join_keeps_one_segment_a_part() -> None:
    assert keys.join("a/../b", "..", ".") == "a=2F..=2Fb/=2E=2E/=2E"


def test_parts_that_differ_make_keys_that_differ() -> None:
    assert keys.join("a=2F") != keys.join("a/")


@given(st.lists(st.text(SURROGATES_TOO, min_size=1, max_size=20), min_size=1, max_size=5))
def test_whatever_the_parts_the_key_is_valid_and_has_as_many(parts: list[str]) -> None:
    key = keys.join(*parts)
    assert keys.check(key) == key
    assert key.count("/") == len(parts) - 1
    assert key.isascii()


@pytest.mark.parametrize(
    "key, rule",
    [
        ("", "empty"),
        ("/a", "begin or end with a slash"),
        ("a/", "begin or end with a slash"),
        ("a//b", "two in a row"),
        ("a/../b", r"`\.\.`"),
        ("..", r"`\.\.`"),
        ("./a", r"`\.`"),
        ("a\\b", "backslash"),
        ("a\x00b", "control characters"),
        ("a\nb", "control characters"),
        ("a\x7f", "control characters"),
        ("a\ud800", "surrogate"),
        ("ü" * 513, "1024 bytes"),
    ],
)
def test_a_key_that_a_store_would_stumble_over_is_refused_by_name(key: str, rule: str) -> None:
    with pytest.raises(InvalidKey, match=rule) as refusal:
        keys.check(key)
    assert refusal.value.permanent
    assert keys.shown(key) in str(refusal.value)


def test_no_part_may_be_empty() -> None:
    with pytest.raises(InvalidKey):
        keys.join("posts", "")
