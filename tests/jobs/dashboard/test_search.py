"""The search line: what it means, and what it cannot mean."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from jobs.core.states import State
from jobs.operations.filters import JobFilter
from jobs.operations.search import Search, line, parse, split

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ID = uuid.UUID("0193a6c2-7b1e-7c3f-8f00-5a1b2c3d4e5f")


def read(text: str) -> Search:
    return parse(text, NOW)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", JobFilter()),
        ("task:mail.send", JobFilter(task="mail.send")),
        ("state:dead", JobFilter(states=(State.DEAD,))),
        ("state:dead,retrying state:dead", JobFilter(states=(State.DEAD, State.RETRYING))),
        ("queue:email error:timeout", JobFilter(queue="email", error="timeout")),
        ('error:"550 no such user"', JobFilter(error="550 no such user")),
        ("since:1h", JobFilter(created_after=NOW - timedelta(hours=1))),
        ("until:30min", JobFilter(created_before=NOW - timedelta(minutes=30))),
        ("since:2026-11-20", JobFilter(created_after=datetime(2026, 11, 20, tzinfo=UTC))),
        ("since:2026-11-20T08:30+01:00", JobFilter(created_after=datetime(2026, 11, 20, 7, 30, tzinfo=UTC))),
        ("kwargs.user_id:42", JobFilter(kwargs=(("user_id", 42),))),
        ('kwargs.user_id:"42"', JobFilter(kwargs=(("user_id", "42"),))),
        ("kwargs.address.city:Rome", JobFilter(kwargs=(("address.city", "Rome"),))),
        ("kwargs.draft:true kwargs.x:null", JobFilter(kwargs=(("draft", True), ("x", None)))),
        ("kwargs.x:NaN kwargs.y:1e999", JobFilter(kwargs=(("x", "NaN"), ("y", "1e999")))),
        (f"id:{ID} parent:{ID}", JobFilter(ids=(ID,), parent_id=ID)),
        ("correlation:abc", JobFilter(correlation_id="abc")),
        ("connection refused", JobFilter(text="connection refused")),
        ("http://smtp.example:25 said:no", JobFilter(text="http://smtp.example:25 said:no")),
        ('"state:dead"', JobFilter(text="state:dead")),
        ('unfinished "quote', JobFilter(text='unfinished "quote')),
    ],
)
def test_a_line_becomes_a_filter(text: str, expected: JobFilter) -> None:
    found = read(text)
    assert found.filter == expected
    assert not found.problems


@pytest.mark.parametrize(
    "text, problem",
    [
        ("state:ded", "'ded' is no state"),
        ("since:yesterday", "'yesterday' is no time"),
        ("since:2026-13-01", "is no time"),
        ("since:999999w", "is no time"),
        ("task:a task:b", "task: is given twice"),
        ("id:42", "id: takes a whole id"),
        ("task:", "task: needs a value"),
        ("kwargs.user_id:", "kwargs.user_id: needs a value"),
    ],
)
def test_what_cannot_be_meant_is_said(text: str, problem: str) -> None:
    assert problem in " ".join(read(text).problems)


def test_a_term_is_replaced_and_taken_away() -> None:
    search = read('task:mail.send state:dead error:"no route"')
    assert search.having("state", "queued") == 'task:mail.send error:"no route" state:queued'
    assert search.having("state") == 'task:mail.send error:"no route"'
    assert search.values("state") == ["dead"]


@given(st.text())
def test_any_text_is_read_and_written_back(text: str) -> None:
    search = read(text)
    assert [(term.name, term.value) for term in split(str(search))] == [
        (term.name, term.value) for term in search.terms
    ]


@given(st.lists(st.tuples(st.sampled_from(["task", "error", "kwargs.a"]), st.text(min_size=1)), max_size=3))
def test_a_line_made_of_terms_says_them(terms: list[tuple[str, Any]]) -> None:
    assert [(term.name, term.value) for term in split(line(terms))] == [
        (name, value.replace("\x00", "")) for name, value in terms
    ]
