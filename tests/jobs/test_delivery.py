"""What comes off the wire is checked once: it is read, read in part, or refused with thing, value and rule."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from jobs.core.delivery import MOST_NESTED, OWN, Malformed, is_too_deep, portable, read_body, read_headers, whole

OURS = "x-ledger"


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "retries that are no number": ({"retries": "²"}, r"retries='²' is not valid: it must be a whole number"),
    "retries beyond every column": ({"retries": 10**30}, r"retries=a number of too many digits"),
    "retries of four thousand digits": ({"retries": 10**4000}, r"retries=a number of too many digits"),
    "retries below zero": ({"retries": -1}, r"retries=-1"),
    "true retries": ({"retries": True}, r"retries=True"),
    "time limits in words": ({"timelimit": ["a", "b"]}, r"timelimit=\['a', 'b'\] .*seconds above zero"),
    "a time limit below zero": ({"timelimit": [-5, None]}, r"timelimit="),
    "a time limit of nothing": ({"timelimit": [None, 0]}, r"timelimit="),
    "an endless time limit": ({"timelimit": [float("inf"), None]}, r"timelimit="),
    "a time limit that is no number": ({"timelimit": [float("nan"), None]}, r"timelimit="),
    "three time limits": ({"timelimit": [1, 2, 3]}, r"timelimit="),
    "one time limit": ({"timelimit": 7}, r"timelimit=7"),
    "an eta in words": ({"eta": "tomorrow"}, r"eta='tomorrow' .*ISO 8601"),
    "an eta at the end of time": ({"eta": "9999-12-31T23:59:59-23:59"}, r"eta="),
    "expires as a number": ({"expires": 7.5}, r"expires=7\.5"),
    "an id that is a number": ({"id": 5}, r"id=5"),
    "an id with NUL": ({"id": "a\x00b"}, r"id="),
    "a parent that is a list": ({"parent_id": ["x"]}, r"parent_id="),
    "a group index in words": ({"group_index": "1"}, r"group_index="),
    "stamps that are a list": ({"stamps": [1]}, r"stamps="),
    "stamped headers that are a text": ({"stamped_headers": "abc"}, r"stamped_headers="),
    "something nested deep": ({"stamps": nested(5000)}, r"stamps=a list nested deeper"),
}


@pytest.mark.parametrize("headers, words", REFUSED.values(), ids=list(REFUSED))
def test_headers_that_are_refused(headers: dict[str, Any], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read_headers({"task": "x", "id": "1", **headers}, OURS)


def test_headers_as_celery_sends_them_are_read_as_they_are() -> None:
    headers = {
        "lang": "py",
        "task": "x",
        "id": "1",
        "shadow": None,
        "eta": "2030-01-01T00:00:00+00:00",
        "expires": datetime(2030, 1, 1, tzinfo=UTC),
        "group": None,
        "group_index": None,
        "retries": 3,
        "timelimit": [30, 2.5],
        "root_id": "1",
        "parent_id": None,
        "stamped_headers": ["tenant"],
        "stamps": {"tenant": "a"},
        "tenant": "a",
        "x-mine": {"any": ["thing", 1.5]},
        OURS: 1,
    }
    assert read_headers(headers, OURS) == headers


def test_what_is_only_shown_is_left_out_where_it_is_of_the_wrong_kind() -> None:
    odd = {"argsrepr": 7, "shadow": ["x"], "origin": 0, "lang": {}, "x-correlation-id": 5, "ignore_result": "no"}
    assert read_headers({"task": "x", "id": "1", **odd}, OURS) == {"task": "x", "id": "1", "retries": 0}


@pytest.mark.parametrize("name", ["claimed", "left", "eta", "anything"])
def test_nobody_writes_the_engines_own_entries(name: str) -> None:
    assert OWN + name not in read_headers({"task": "x", "id": "1", OWN + name: [1, 2, 3]}, OURS)


@pytest.mark.parametrize("value", ["yes", True, 2, 1.0, None, [1]])
def test_only_the_ledgers_own_mark_says_that_the_ledger_sent_it(value: object) -> None:
    assert OURS not in read_headers({"task": "x", "id": "1", OURS: value}, OURS)


@pytest.mark.parametrize(
    "payload",
    [
        *(None, 5, "text", {}, [], [[], {}], [[], {}, {}, {}], [1, {}, {}], [[], [], {}], [[], {1: 2}, {}]),
        *([[], {}, 5], [[], {}, {"chain": 5}], [[], {}, {"callbacks": ["x"]}], [[], {}, {"chord": []}]),
        [nested(5000), {}, {}],
    ],
    ids=lambda payload: "deep" if is_too_deep(payload) else f"{payload!r:.40}",
)
def test_bodies_that_are_refused(payload: object) -> None:
    with pytest.raises(Malformed):
        read_body(payload)


def test_what_else_is_embedded_is_left_out() -> None:
    body = read_body([["x"], {"a": 1}, {"chain": [{"task": "y"}], OWN + "claimed": 1, "lease_id": "mine"}])
    assert (body.args, body.kwargs, body.is_partial) == (["x"], {"a": 1}, True)
    assert body.embedded == {"callbacks": None, "errbacks": None, "chain": [{"task": "y"}], "chord": None}
    assert not read_body([[], {}, None]).is_partial


@pytest.mark.parametrize("value, attempts", [(3, 3), ("12", 12), ("²", 0), (10**30, 0), (-1, 0), (True, 0), ([], 0)])
def test_a_number_of_attempts_is_read_where_there_is_one(value: object, attempts: int) -> None:
    assert whole(value) == attempts


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**63)
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.characters(categories=["Cs"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=12,
)
NAMES = ["id", "retries", "timelimit", "eta", "expires", "stamps", "group", "argsrepr", OWN + "left", OURS]
names = st.sampled_from(NAMES)


@given(headers=st.dictionaries(names | st.text(), anything))
def test_any_headers_are_read_or_refused(headers: dict[str, Any]) -> None:
    with contextlib.suppress(Malformed):
        read = read_headers(headers, OURS)
        assert type(read["retries"]) is int
        assert not any(name.startswith(OWN) for name in read)


@given(payload=anything | st.lists(anything, min_size=3, max_size=3))
def test_any_body_is_read_or_refused(payload: object) -> None:
    with contextlib.suppress(Malformed):
        body = read_body(payload)
        assert isinstance(body.args, list)
        assert isinstance(body.kwargs, dict)


def test_arguments_may_be_nested_that_deep_and_no_deeper() -> None:
    assert read_body([nested(MOST_NESTED - 2), {}, None]).args
    with pytest.raises(Malformed, match="nested deeper than"):
        read_body([nested(MOST_NESTED - 1), {}, None])


@given(value=anything)
def test_any_value_can_be_carried(value: object) -> None:
    carried = portable(value)
    json.dumps(carried, default=str).encode()
    assert portable(carried) == carried
