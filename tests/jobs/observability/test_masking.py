"""Secrets are taken out of what is told of requests, by their shape."""

import json
import logging
import time

import pytest
from django.core import signing
from hypothesis import example, given, strategies as st

from jobs.observability.masking import masked, without_secrets
from jobs.operations import tokens
from project.logs import JsonFormatter

SECRETS = [
    ("/verify/AAAAAAAAAAAAAAAAAAAAAA.1abcde." + "s" * 43 + "/", "/verify/…/"),
    ("/log-in/?next=%2Fverify%2FAAAAAAAAAAAAAAAAAAAAAA.1abcde." + "s" * 43, "/log-in/?next=%2Fverify%…"),
    ("nst_" + "a" * 43, "nst_…"),
    ("https://api.telegram.org/bot123456789:AAE-x_" + "a" * 29 + "/send", "https://api.telegram.org/bot…/send"),
    ("Authorization: Bearer abcdef-0123.456~/+==", "Authorization: Bearer …"),
    ("authorization: basic YWRtaW46aHVzaA==", "authorization: basic …"),
    ("redis://:hush@cache:6379/0", "redis://:…@cache:6379/0"),
    ("postgres://user:hu@sh@db/name", "postgres://user:…@db/name"),
    (
        "https://bucket.example/key?X-Amz-Credential=AKIA/20260101&X-Amz-Signature=0123abc&a=b",
        "https://bucket.example/key?X-Amz-Credential=…&X-Amz-Signature=…&a=b",
    ),
    ("/api/events?token=hush&task=a", "/api/events?token=…&task=a"),
    ("?a=1&API_KEY=hush", "?a=1&API_KEY=…"),
    ("connecting with user=app password=hush to db", "connecting with user=app password=… to db"),
    ("charge(42, token=hush)", "charge(42, token=…"),
    ("[secret=hush", "[secret=…"),
]


@pytest.mark.parametrize("text,shown", SECRETS)
def test_a_secret_is_masked_wherever_it_stands(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(f"GET \"{text}\" 200, ('{text}')") == f"GET \"{shown}\" 200, ('{shown}')"


@pytest.mark.parametrize("query, shown", [("token=hush&a=b", "token=…&a=b"), ("Password=hush", "Password=…")])
def test_a_secret_is_masked_in_a_query_without_its_address(query: str, shown: str) -> None:
    assert without_secrets({"query_string": query}) == {"query_string": shown}


@pytest.mark.parametrize(
    "text",
    [signing.dumps({"a": 1}), signing.TimestampSigner().sign("a"), tokens.MARK + "a" * 43],
    ids=["an object", "a text", "a token"],
)
def test_whatever_is_signed_here_is_masked(text: str) -> None:
    assert masked(f"a {text} b") in {"a … b", "a nst_… b"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Basic authentication is needed",
        "a bearer of news",
        "jobs.ledger.claims.take claimed 10 of 20:00:00",
        "https://example.com/a/b?page=2&q=token",
        "user@example.com wrote to http://localhost:8000/",
        "0190b3c1-9a7e-7f00-8000-000000000000",
        "mytoken=a tokens=3 and token = b",
        "file.py:" + "a" * 43,
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_everything_in_an_event_is_masked_keys_too() -> None:
    text, shown = SECRETS[0]
    event = {"request": {"url": text, text: [text, {"a": [text, 1, None, True]}]}}
    assert without_secrets(event) == {"request": {"url": shown, shown: [shown, {"a": [shown, 1, None, True]}]}}


PIECES = st.sampled_from(
    [secret for secret, _ in SECRETS] + ["://", ":", "@", "?token=", ".", " ", '"', "\\", "\n", ", "]
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
@example('GET "/x?token=hush" 200')
@example('redis://x","k":"v@')
def test_a_line_of_json_is_json_whatever_was_masked_in_it(text: str) -> None:
    record = logging.LogRecord("a", logging.INFO, "", 0, "%s", (text,), None)
    record.request = text
    line = JsonFormatter().format(record)
    assert json.loads(line).keys() >= {"message", "request"}


@pytest.mark.parametrize(
    "piece",
    ["a", "-", "a.", "abcdef.", "abcdef:", "://", "a://x:", "?token=", "?", "@", "Basic A", "Bearer ", "nst_", "a:b@"],
)
def test_masking_takes_no_more_time_than_a_line_is_long(piece: str) -> None:
    def seconds(length: int) -> float:
        line = "@a://x:.?Bearer Basic " + piece * (length // len(piece)) + "." + "s" * 43
        began = time.process_time()
        masked(line)
        return time.process_time() - began

    assert seconds(1_000_000) < 5
