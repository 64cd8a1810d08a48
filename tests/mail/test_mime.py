"""Messages, and that nothing forges their headers."""

import email
import email.policy
import re
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given, strategies as st

from mail.addresses import Address, parse
from mail.errors import InvalidMail
from mail.messages import Message
from mail.mime import build
from mail.rendering import Rendered

NOW = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
SENDER = parse("night@example.com", "Nightshift")
JOB = "0199f7a2-0000-7000-8000-000000000001"

#: Every header a message of ours has, and no other.
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Content-Language",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
}


#: The order in which they stand.
ORDER = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
    "Content-Language",
]


def message(
    *,
    to: Address | None = None,
    subject: str = "Hello",
    sender: Address = SENDER,
    message_id: str = JOB,
    body: str = "Hi",
    language: str = "de",
) -> EmailMessage:
    message = Message(to=to or parse("jane@example.org", "Jane"), subject="", template="none", language=language)
    rendered = Rendered(subject=subject, text=f"{body}\n", html=f"<p>{body}</p>")
    return build(message, rendered, sender=sender, message_id=message_id, now=NOW)


def as_received(sent: EmailMessage) -> EmailMessage:
    return email.message_from_bytes(sent.as_bytes(), policy=email.policy.default)


def test_a_message_says_who_to_whom_what_and_when() -> None:
    received = as_received(message())
    assert received["From"] == "Nightshift <night@example.com>"
    assert received["To"] == "Jane <jane@example.org>"
    assert received["Subject"] == "Hello"
    assert received["Date"].datetime == NOW
    assert received["Content-Language"] == "de"
    assert received["Auto-Submitted"] == "auto-generated"
    assert set(received.keys()) == HEADERS


def test_it_has_a_plain_text_and_an_html_alternative() -> None:
    received = as_received(message(body="Grüße, 日本"))
    assert [part.get_content_type() for part in received.iter_parts()] == ["text/plain", "text/html"]
    text, html = received.iter_parts()
    assert text.get_content().splitlines() == ["Grüße, 日本"]
    assert "<p>Grüße, 日本</p>" in html.get_content()


def test_its_id_is_the_jobs_and_the_same_for_every_attempt() -> None:
    assert message()["Message-ID"] == message()["Message-ID"] == f"<{JOB}@example.com>"


def test_it_travels_in_lines_of_ascii_that_no_server_must_break() -> None:
    lines = message(subject="Grüße " * 30, body="x" * 5000 + "é").as_bytes().split(b"\r\n")
    assert all(len(line) <= 998 and line.isascii() and b"\n" not in line for line in lines)


def test_a_mailbox_outside_ascii_travels_as_utf8() -> None:
    sent = message(to=parse("josé@exämple.com", "José"))
    assert "josé@xn--exmple-cua.com".encode() in sent.as_bytes()
    received = email.message_from_string(sent.as_bytes().decode(), policy=email.policy.SMTPUTF8)
    assert received["To"].addresses[0].addr_spec == "josé@xn--exmple-cua.com"


ENCODED = st.sampled_from(
    [
        "=?utf-8?q?a=0d=0asubject=3a_hi=0d=0a=0d=0aread_this?=",
        "About =?utf-8?q?caf=C3=A9?= syntax",
        'Bob =?utf-8?q?=22_=3Cboss=40bank.example=3E=2C?= <boss@bank.example>, "',
    ]
)
words = st.one_of(ENCODED, st.text(max_size=60), st.tuples(st.text(max_size=9), ENCODED).map("".join))


@given(subject=words, to=words, sender=words, host=words, mailbox=words, language=words, message_id=words)
def test_whatever_is_set_no_header_line_is_added_or_lost(
    subject: str, to: str, sender: str, host: str, mailbox: str, language: str, message_id: str
) -> None:
    reader, writer = Address("jane", "example.org", to), Address("night", "example.com", sender)
    for address in (f"{mailbox}@example.org", f"jane@{host}"):
        try:
            reader = parse(address, to)
        except InvalidMail:
            continue
    values = {"to": reader, "sender": writer, "subject": subject, "message_id": JOB, "language": "de"}
    for odd in ({}, {"language": language}, {"message_id": message_id}):
        try:
            content = message(**{**values, **odd}).as_bytes()  # type: ignore[arg-type]  # Each by its name.
        except InvalidMail:
            continue
        head = content.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ")
        lines = re.split(b"[\r\n]+", head)
        assert sorted(line.partition(b": ")[0].decode() for line in lines) == sorted(HEADERS)


@given(st.text(max_size=200), st.text(max_size=60))
def test_no_subject_and_no_name_forges_a_header(subject: str, name: str) -> None:
    try:
        sent = message(subject=subject, to=Address("jane", "example.org", name))
    except InvalidMail:
        return
    received = as_received(sent)
    assert set(received.keys()) == HEADERS
    (to,) = received["To"].addresses
    assert to.addr_spec == "jane@example.org"
    # Blanks aside: Python's own folding adds some to long names outside ASCII.
    assert "".join(to.display_name.split()) == "".join(name.split())
    text, _ = received.iter_parts()
    assert text.get_content().splitlines() == ["Hi"]


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\0"])
def test_line_ends_are_refused_by_name(line_end: str) -> None:
    with pytest.raises(InvalidMail, match=r"The subject has the control character U\+"):
        message(subject=f"Hello{line_end}Bcc: everybody@example.com")
    with pytest.raises(InvalidMail, match=r"The display name has the control character U\+"):
        message(to=Address("jane", "example.org", f"Jane{line_end}Bcc: everybody@example.com"))


@given(st.text(max_size=200).filter(lambda text: text.isprintable() and text == text.strip()))
def test_a_printable_subject_arrives_as_it_was(subject: str) -> None:
    assert as_received(message(subject=subject))["Subject"] == subject


@pytest.mark.parametrize("message_id", ["", "a b", "a>\r\nBcc: x", "<a>", "é", "x" * 1_000])
def test_an_id_that_could_break_out_is_refused(message_id: str) -> None:
    with pytest.raises(InvalidMail, match="cannot stand in a header"):
        message(message_id=message_id)


def test_a_subject_without_end_is_refused() -> None:
    with pytest.raises(InvalidMail, match="The subject has 401 characters; at most 400"):
        message(subject="x" * 401)


def test_a_text_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(InvalidMail, match="The text has a lone surrogate at position 3"):
        message(body="Hi \ud800")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_a_text_arrives_letter_for_letter(body: str) -> None:
    text, _ = as_received(message(body=body)).iter_parts()
    payload = text.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert re.sub("\r\n|\r", "\n", payload.decode()).rstrip("\n") == re.sub("\r\n|\r", "\n", body).rstrip("\n")
