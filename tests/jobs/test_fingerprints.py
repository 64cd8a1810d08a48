"""Errors of one kind are known as such, and found again."""

import time

import pytest
from hypothesis import given, strategies as st

from jobs.operations.filters import DeadLetterFilter
from jobs.reports.fingerprints import LENGTH, fingerprint
from tests.jobs.dashboard.letters import letter


@pytest.mark.parametrize(
    "error, kind",
    [
        ("Refused: 550 5.1.1 <ada@example.com>: unknown", "Refused: 550 5.1.1 <…>: unknown"),
        ("Gone: 0193a6c2-7b1e-7c3f-8f00-5a1b2c3d4e5f", "Gone: …"),
        ("KeyError: 'user:12345'", "KeyError: 'user:…'"),
        ("<Object at 0x7f219ddaa990>", "<Object at …>"),
        ("digest 9f86d081884c7d659a2feaa0c55ad015", "digest …"),
        ("to ada+x.y@mail.example.com, bob@example.com.", "to …, …."),
        ("user@localhost", "user@localhost"),
        ("connection refused", "connection refused"),
        ("Request req_929 was rate-limited", "Request req_… was rate-limited"),
        ("No such charge: ch_3NvPq8LkdIwHu7ix0", "No such charge: ch_…"),
        ("column users_v2 of user_settings_2 in utf_8", "column users_v2 of user_settings_2 in utf_8"),
        ("", ""),
    ],
)
def test_what_differs_is_left_out(error: str, kind: str) -> None:
    assert fingerprint(error) == kind


@given(st.text(max_size=400))
def test_a_kind_is_short_and_its_own_kind(error: str) -> None:
    assert len(fingerprint(error)) <= LENGTH


@pytest.mark.parametrize(
    "shape", ["a", "a.", "a-", "a+", "a@", "x@y-", "1", "f", "a_", "a_1", "0x", "…", "… ", "a@b.", "12345 "]
)
def test_a_long_error_costs_no_more_than_its_length(shape: str) -> None:
    errors = [(f"{number} " + shape * 100_000)[:50_000] for number in range(200)]
    began = time.process_time()
    assert all(len(fingerprint(error)) <= LENGTH for error in errors)
    # One of them took ten seconds.
    assert time.process_time() - began < 5


@pytest.mark.django_db
@pytest.mark.parametrize(
    "error",
    [
        "Refused: <a@b.example>: 100% no_such \\ user",
        "Long: " + "x" * 300,
        "Longer: " + "12345 " * 300 + "x",
        "ids 12345 and 67890",
        "Request req_929, 100% of ch_3NvPq8LkdIwHu7ix0",
        "two\nlines 99999",
    ],
)
def test_a_kind_finds_its_letters_and_no_others(error: str) -> None:
    found = letter(error=error)
    letter(error="Other: 100x no-such user")
    assert list(DeadLetterFilter(error=fingerprint(error)).dead_letters()) == [found]
