"""What a mail server's refusals and a network's failures mean for a letter. Pure."""

import smtplib
import ssl

from mail.conf import SmtpConf
from mail.errors import MailError

MAX_SHOWN_REPLY = 300

#: A server's answer: its code and its words.
Reply = tuple[int, bytes]


def refusal(conf: SmtpConf, reply: Reply, what: str) -> MailError:
    """Return the error for a server that refused `what`: 5xx is final, anything else may pass later."""
    code, words = reply
    return MailError(
        f"{_server(conf)} refused {what}: {_shown(code, words)}",
        permanent=_is_final(code),
    )


def failure(conf: SmtpConf, exc: OSError) -> MailError:
    """Return the error for a conversation that broke off. Every error of smtplib is an OSError, too."""
    match exc:
        case smtplib.SMTPAuthenticationError():
            return MailError(
                f"{_server(conf)} refused the log-in as {conf.user!r}: {_shown(exc.smtp_code, exc.smtp_error)}. "
                "Check SMTP_USER and SMTP_PASSWORD.",
                permanent=_is_final(exc.smtp_code),
            )
        case smtplib.SMTPResponseException():
            return MailError(
                f"{_server(conf)} answered: {_shown(exc.smtp_code, exc.smtp_error)}",
                permanent=_is_final(exc.smtp_code),
            )
        case smtplib.SMTPNotSupportedError():
            return MailError(f"{_server(conf)} cannot do what this mail needs: {exc}", permanent=True)
        case ssl.SSLCertVerificationError():
            return MailError(
                f"{_server(conf)} has no valid certificate: {exc.verify_message}. "
                "Check SMTP_HOST, or have the certificate renewed.",
                permanent=False,
            )
        case _:
            return MailError(
                f"{_server(conf)} failed us: {str(exc) or type(exc).__name__}",
                permanent=False,
            )


def _server(conf: SmtpConf) -> str:
    return f"The mail server {conf.host}:{conf.port}"


def _is_final(code: int) -> bool:
    return 500 <= code < 600


def _shown(code: int, words: bytes | str) -> str:
    """Return a reply as people can read it: one line, no control characters, not too long."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return f"{code} {line[:MAX_SHOWN_REPLY]}"
