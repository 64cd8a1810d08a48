"""From rendered bodies to the message that travels (RFC 5322). Pure: no clock, no settings, no network."""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from mail import headers
from mail.addresses import Address
from mail.errors import InvalidMail
from mail.headers import Field
from mail.messages import Message
from mail.rendering import Rendered

MAX_SUBJECT_CHARACTERS = 400
MAX_TOKEN_CHARACTERS = 100


def build(
    message: Message,
    rendered: Rendered,
    *,
    sender: Address,
    message_id: str,
    now: datetime,
    unsubscribe: str = "",
) -> EmailMessage:
    """Return the email that carries the message: plain text with an HTML alternative.

    Args:
        message: for its reader and language.
        rendered: for its subject and bodies.
        sender: who it comes from; the domain of its `Message-ID` too.
        message_id: the left part of the `Message-ID`, the same for every attempt, so that a server or reader can
            tell a repetition from a new message.
        now: its `Date`, with a time zone.
        unsubscribe: of a mailing, the link by which its reader ends them.

    Raises InvalidMail where a value could forge a header, or cannot be sent.
    """
    # A mailbox outside ASCII cannot be encoded away: it travels as UTF-8 or not at all (RFC 6532).
    email = EmailMessage(policy=SMTPUTF8 if message.to.needs_utf8 or sender.needs_utf8 else SMTP)
    _add(
        email,
        headers.mailbox("From", sender),
        headers.mailbox("To", message.to),
        headers.text("Subject", _subject(rendered.subject)),
        headers.text("Date", format_datetime(now)),
        headers.text("Message-ID", f"<{_token(message_id)}@{sender.domain}>"),
        # Keeps out-of-office replies and other robots from answering (RFC 3834).
        headers.text("Auto-Submitted", "auto-generated"),
    )
    if unsubscribe:
        # RFC 2369, 3.2, and RFC 8058, 3.1: mail programs show a button beside the subject, and post to the link.
        _add(
            email,
            headers.text("List-Unsubscribe", f"<{unsubscribe}>"),
            headers.text("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        )
    email.set_content(_body(rendered.text), cte="quoted-printable")
    email.add_alternative(_body(rendered.html), subtype="html", cte="quoted-printable")
    # Last: setting contents moves every Content-* header away.
    _add(email, headers.text("Content-Language", _token(message.language)))
    return email


def _add(email: EmailMessage, *fields: Field) -> None:
    for field in fields:
        email[field.name] = field


def _subject(text: str) -> str:
    if len(text) > MAX_SUBJECT_CHARACTERS:
        raise InvalidMail(f"The subject has {len(text)} characters; at most {MAX_SUBJECT_CHARACTERS} are allowed.")
    return text


def _body(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidMail(f"The text has a lone surrogate at position {exc.start}: it cannot be sent.") from exc
    return text


def _token(text: str) -> str:
    """Return `text`. Raises InvalidMail unless it is plain enough to stand in a header as it is."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise InvalidMail(f"{text[:MAX_TOKEN_CHARACTERS]!r}… cannot stand in a header: it is too long.")
    if not text or not text.isascii() or not all(character.isalnum() or character in "-._" for character in text):
        raise InvalidMail(f"{text!r} cannot stand in a header: only ASCII letters, digits, - . _ are allowed.")
    return text
