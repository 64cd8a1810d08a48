"""An SMTP server that delivers to nobody: it keeps every mail in the inbox's store."""

import logging

from aiosmtpd.smtp import SMTP, Envelope, Session

from mail.inbox.store import Store

logger = logging.getLogger(__name__)

MAX_MAIL_BYTES = 25 * 1024 * 1024


class Catcher:
    """Takes every mail, for whomever."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name.
        """Keep the mail; answer like a mail server that took it."""
        content = envelope.content or b""
        content = content if isinstance(content, bytes) else content.encode()
        mail_id = self.store.add(_trace(envelope) + content)
        logger.info("Caught mail %s for %s", mail_id, ", ".join(envelope.rcpt_tos))
        return f"250 2.0.0 Caught as {mail_id}"


def conversation(store: Store) -> SMTP:
    """Return the protocol of one connection, for the running event loop."""
    return SMTP(
        Catcher(store),
        hostname="localhost",
        ident="mail catcher",
        data_size_limit=MAX_MAIL_BYTES,
        enable_SMTPUTF8=True,
    )


def _trace(envelope: Envelope) -> bytes:
    """Return what a delivering server adds on top: the envelope, which the mail itself need not tell."""
    lines = [
        f"Return-Path: <{envelope.mail_from or ''}>",
        *(f"Delivered-To: {to}" for to in envelope.rcpt_tos),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")
