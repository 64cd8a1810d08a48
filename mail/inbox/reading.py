"""A caught mail, taken apart for reading."""

import email.policy
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage, Message, MIMEPart
from email.parser import BytesHeaderParser, BytesParser

from mail.inbox.store import Store

#: The headers worth seeing above a mail.
ENVELOPE_HEADERS = frozenset({"return-path", "delivered-to"})


@dataclass(frozen=True, slots=True)
class Summary:
    """A line of the list."""

    id: str
    subject: str
    sender: str
    recipient: str
    caught_at: datetime


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is neither the text nor the HTML; `number` finds it again."""

    number: int
    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """Everything about one mail."""

    summary: Summary
    headers: list[tuple[str, str]]
    text: str
    html: str
    source: str
    attachments: list[Attachment]


def summary(store: Store, mail_id: str) -> Summary:
    """Return the list's line for a mail. Raises NoSuchMail."""
    return _summary(
        mail_id,
        BytesHeaderParser(policy=email.policy.default).parsebytes(store.read(mail_id)),
    )


def read(store: Store, mail_id: str) -> Mail:
    """Return a mail. Raises NoSuchMail."""
    raw = store.read(mail_id)
    message = BytesParser(policy=email.policy.default).parsebytes(raw)
    return Mail(
        summary=_summary(mail_id, message),
        headers=[(name, str(value)) for name, value in message.items()],
        text=_body(message, "plain"),
        html=_body(message, "html"),
        source=raw.decode("utf-8", "replace"),
        attachments=[_attachment(number, part) for number, part in enumerate(message.iter_attachments())],
    )


def _summary(mail_id: str, message: Message) -> Summary:
    return Summary(
        id=mail_id,
        subject=str(message["Subject"] or "(no subject)"),
        sender=str(message["From"] or message["Return-Path"] or ""),
        recipient=str(message["To"] or message["Delivered-To"] or ""),
        caught_at=datetime.fromtimestamp(int(mail_id.partition("-")[0]) / 1e9, UTC),
    )


def _body(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    return "" if part is None else _decoded(part)


def _decoded(part: MIMEPart) -> str:
    try:
        return str(part.get_content())
    except (
        LookupError,
        KeyError,
        ValueError,
    ):  # An unknown character set, or a broken encoding.
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else str(part.get_payload())


def _attachment(number: int, part: Message) -> Attachment:
    payload = part.get_payload(decode=True)
    return Attachment(
        number=number,
        name=part.get_filename() or f"part-{number + 1}",
        content_type=part.get_content_type(),
        content=payload if isinstance(payload, bytes) else b"",
    )
