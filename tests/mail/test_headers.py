"""Header fields made from text: on the wire stands what was set and nothing else, on every Python."""

import base64
import quopri
import re
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8, EmailPolicy, default

import pytest
from hypothesis import example, given, strategies as st

from mail import headers
from mail.addresses import Address
from mail.errors import InvalidMail

INJECTION = "=?utf-8?q?a=0d=0asubject=3a_hi=0d=0a=0d=0aread_this?="
TRICKS = [
    INJECTION,
    f"Bob {INJECTION} <bob@example.com>",
    "About =?utf-8?q?caf=C3=A9?= syntax",
    "=?utf-8?b?Qm9i?=",
    "=?",
    "?=",
    '"Bob" <boss@bank.example>',
    "Bob\\",
    'Bob" <boss@bank.example>, "Eve',
    "bob@bank.example,",
    "J. R. R. Tolkien (author); group: x;",
    "a" * 200,
    "a  b" * 40,
    " blanks ",
    " ",
    "",
    "ü" * 200,
    "日本" * 60,
    "👩‍👩‍👧‍👦" * 20,
    "é a =?x?= b é",
    "a ü",
    "ü a",
]
_WORD = re.compile(r"=\?utf-8\?([qb])\?([^?\s]*)\?=")

texts = st.one_of(
    st.sampled_from(TRICKS),
    st.text(max_size=200),
    st.lists(st.sampled_from([*TRICKS, "=?utf-8?", "?=", "=0d=0a", "_", " ", "<", "@", "é"]), max_size=6).map("".join),
).filter(lambda text: len(text) <= 400)


def on_the_wire(field: headers.Field, policy: "EmailPolicy[EmailMessage]" = SMTP) -> list[bytes]:
    """Return the lines that a message with this field has before its end."""
    message = EmailMessage(policy=policy)
    message[field.name] = field
    return message.as_bytes().removesuffix(b"\r\n\r\n").split(b"\r\n")


def unfolded(lines: list[bytes]) -> str:
    """Return the one header line that these are, checked to be one (RFC 5322, 2.2.3)."""
    assert all(line.startswith(b" ") and line.strip() for line in lines[1:])
    assert all(len(line) <= 998 for line in lines)
    return b"".join(lines).decode()


def decoded(value: str) -> str:
    """Return what a reader shows, by RFC 2047 and by no code of Python's `email`: all or nothing is encoded."""
    words = value.split(" ")
    if not value.startswith("=?"):
        assert "=?" not in value
        return value
    return b"".join(map(_decoded_word, words)).decode()


def _decoded_word(word: str) -> bytes:
    assert len(word) <= 75
    found = _WORD.fullmatch(word)
    assert found, word
    if found[1] == "b":
        return base64.b64decode(found[2], validate=True)
    return quopri.decodestring(found[2].encode(), header=True)


def phrase_of(line: str, address: Address) -> str:
    """Return the display name before an address, without its quotation marks (RFC 5322, 3.2.4)."""
    assert line.endswith(f" <{address}>")
    phrase = line.removesuffix(f" <{address}>")
    if phrase.startswith('"'):
        quoted = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', phrase)
        assert quoted
        assert "=?" not in phrase
        return re.sub(r"\\(.)", r"\1", quoted[1])
    assert not re.search(r'[()<>\[\]:;@\\,."]', phrase)
    return decoded(phrase)


@given(texts)
@example(INJECTION)
def test_a_text_is_one_header_line_and_arrives_letter_for_letter(value: str) -> None:
    try:
        field = headers.text("Subject", value)
    except InvalidMail:
        return
    name, _, line = unfolded(on_the_wire(field)).partition(": ")
    assert (name, decoded(line)) == ("Subject", value)
    assert field == value


@given(texts, st.sampled_from(["From", "To", "Reply-To"]), st.sampled_from(["jane", "josé", "x" * 64]))
@example(INJECTION, "To", "jane")
def test_a_name_is_one_header_line_and_arrives_letter_for_letter(value: str, name: str, local: str) -> None:
    address = Address(local, "example.com", value)
    try:
        field = headers.mailbox(name, address)
    except InvalidMail:
        return
    policy = SMTPUTF8 if address.needs_utf8 else SMTP
    found, _, line = unfolded(on_the_wire(field, policy)).partition(": ")
    assert found == name
    assert (phrase_of(line, address) if value else line) == (value or str(address))


@pytest.mark.parametrize("policy", [SMTP, SMTPUTF8, default, SMTP.clone(refold_source="all", max_line_length=40)])
@pytest.mark.parametrize("value", TRICKS)
def test_no_policy_of_the_package_folds_it_anew(value: str, policy: "EmailPolicy[EmailMessage]") -> None:
    field = headers.text("Subject", value)
    message = EmailMessage()
    message["Subject"] = field
    assert message["Subject"] == value
    (line,) = message.as_string(policy=policy).replace("\r\n", "\n").removesuffix("\n\n").split("\n\n")
    assert line.split("\n") == [f"Subject: {field.lines[0]}", *field.lines[1:]]


def test_plain_text_stays_readable_in_the_source() -> None:
    assert on_the_wire(headers.text("Subject", "Confirm your address")) == [b"Subject: Confirm your address"]
    jane = Address("jane", "example.com", "Jane")
    assert on_the_wire(headers.mailbox("To", jane)) == [b"To: Jane <jane@example.com>"]
    tolkien = Address("john", "example.com", "J. R. R. Tolkien")
    assert on_the_wire(headers.mailbox("To", tolkien)) == [b'To: "J. R. R. Tolkien" <john@example.com>']


def test_a_long_plain_text_is_folded_between_words() -> None:
    lines = on_the_wire(headers.text("Subject", "word " * 40 + "end"))
    assert len(lines) == 3
    assert all(len(line) <= headers.MAX_LINE for line in lines)
