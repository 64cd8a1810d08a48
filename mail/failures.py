"""What a mail server's refusals and a network's failures mean for a message. Pure."""

import smtplib
import ssl

from mail.conf import SmtpConf
from mail.errors import MailError, one_line

#: A server's answer: its code and its words.
Reply = tuple[int, bytes]


def refusal(conf: SmtpConf, reply: Reply, what: str, *, of_recipient: bool) -> MailError:
    """Return the error for a server that did not take `what`: refused for good by 5xx, else put off."""
    code, words = reply
    said = f"{_server(conf)} {_verb(code)} {what}: {_shown(code, words)}"
    return MailError(said, permanent=_is_final(code), of_recipient=of_recipient)


def no_utf8(conf: SmtpConf, *, of_recipient: bool) -> MailError:
    """Return the error for a server that takes no mailbox outside ASCII."""
    said = f"{_server(conf)} cannot do what this mail needs: SMTPUTF8 not supported by server."
    return MailError(said, permanent=True, of_recipient=of_recipient)


def failure(conf: SmtpConf, exc: OSError | UnicodeError) -> MailError:
    """Return the error for a conversation that broke off. Every error of smtplib is an OSError, too.

    A UnicodeError is what Python makes of a server's name that no resolver could be asked for.
    """
    permanent = False
    match exc:
        case smtplib.SMTPAuthenticationError():
            permanent = _is_final(exc.smtp_code)
            said = (
                f"{_verb(exc.smtp_code)} the log-in as {conf.user!r}: {_shown(exc.smtp_code, exc.smtp_error)}. "
                "Check SMTP_USER and SMTP_PASSWORD."
            )
        case smtplib.SMTPResponseException():
            permanent = _is_final(exc.smtp_code)
            said = f"{_verb(exc.smtp_code)} the mail: {_shown(exc.smtp_code, exc.smtp_error)}"
        case smtplib.SMTPNotSupportedError():
            permanent = True
            said = f"cannot do what this mail needs: {exc}"
        case smtplib.SMTPException() if type(exc) is smtplib.SMTPException:
            # What smtplib says of a log-in for which server and we have no mechanism in common.
            permanent = True
            said = f"cannot log us in: {exc} Check SMTP_USER."
        case UnicodeError():
            permanent = True
            said = f"cannot be looked up: {exc}. Check SMTP_HOST."
        case ssl.SSLCertVerificationError():
            said = f"has no valid certificate: {exc.verify_message}. Check SMTP_HOST, or have the certificate renewed."
        case _:
            said = f"failed us: {str(exc) or type(exc).__name__}"
    return MailError(f"{_server(conf)} {said}", permanent=permanent)


def _server(conf: SmtpConf) -> str:
    return f"The mail server {conf.host}:{conf.port}"


def _verb(code: int) -> str:
    return "refused" if _is_final(code) else "put off"


def _is_final(code: int) -> bool:
    return 500 <= code < 600


def _shown(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"{code} {one_line(text)}"
