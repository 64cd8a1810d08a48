"""Hands messages to the mail server over a connection that stays open.

A connection costs more than a mail: TCP, TLS and login are up to ten round trips, a mail is four. So each thread of
each worker process keeps one, and renews it when the server has dropped it, when it lay idle, or after an error. No
retry happens here: the job's own policy decides on that, from `MailError.permanent`.
"""

import os
import smtplib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

from mail.addresses import Address
from mail.conf import SmtpConf
from mail.errors import MailError
from mail.failures import Reply, failure, no_utf8, refusal
from mail.smtp import Smtp, SmtpOverTls

SERVICE_CLOSING = 421

_local = threading.local()


def deliver(conf: SmtpConf, message: EmailMessage, *, sender: Address, recipient: Address) -> None:
    """Hand `message` over, on this thread's open connection where it has one.

    Raises MailError: permanent where the server refused for good (5xx) or cannot do what is needed, else retryable.
    """
    client: SmtpClient | None = getattr(_local, "client", None)
    if client is None or client.conf != conf:
        disconnect()
        client = _local.client = SmtpClient(conf)
    client.send(message, sender=sender, recipient=recipient)


def disconnect() -> None:
    """Close this thread's connection, if it has one."""
    client: SmtpClient | None = getattr(_local, "client", None)
    if client is not None:
        client.close()


class SmtpClient:
    """One conversation with one server, for one thread."""

    def __init__(self, conf: SmtpConf) -> None:
        self.conf = conf
        self._smtp: Smtp | None = None
        self._pid = 0
        self._used_at = 0.0
        self._deadline = 0.0

    def send(self, message: EmailMessage, *, sender: Address, recipient: Address) -> None:
        """Hand one message over. Raises MailError."""
        self._deadline = time.monotonic() + self.conf.delivery_seconds
        utf8 = sender.needs_utf8 or recipient.needs_utf8
        body = message.as_bytes(policy=SMTPUTF8 if utf8 else SMTP)
        with self._cleaning_up():
            smtp = self._begin(sender, utf8=utf8)
            self._expect(self._timed(smtp).rcpt(str(recipient)), f"the recipient {recipient}", of_recipient=True)
            # What a recipient does not want to read, servers say only here.
            self._expect(self._timed(smtp).data(body), "the message", of_recipient=True)
            self._used_at = time.monotonic()

    def close(self) -> None:
        """Drop the connection, politely where it still works."""
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        try:
            # A connection inherited through a fork is the parent's: it must not hear our QUIT.
            if self._pid == os.getpid() and smtp.sock is not None:
                smtp.sock.settimeout(1.0)
                smtp.quit()
        except OSError:
            pass  # Useless already: that is why we close it.
        finally:
            smtp.close()

    def _begin(self, sender: Address, *, utf8: bool) -> Smtp:
        """Return a connection on which the server has accepted `sender`."""
        reused = self._trusted_connection()
        if reused is not None:
            # MAIL also finds out whether the server has hung up meanwhile: nothing has been handed over yet.
            try:
                reply = self._mail(reused, sender, utf8=utf8)
            except smtplib.SMTPServerDisconnected as exc:
                reply = (SERVICE_CLOSING, str(exc).encode())
            if reply[0] != SERVICE_CLOSING:
                self._expect(reply, f"the sender {sender}")
                return reused
        self.close()
        fresh = self._connect()
        self._expect(self._mail(fresh, sender, utf8=utf8), f"the sender {sender}")
        return fresh

    def _trusted_connection(self) -> Smtp | None:
        if self._pid != os.getpid() or time.monotonic() - self._used_at > self.conf.idle_seconds:
            return None
        return self._smtp

    def _connect(self) -> Smtp:
        # smtplib checks neither name nor issuer of a certificate unless it is given a context.
        context = ssl.create_default_context() if self.conf.tls else None
        smtp = self._smtp = self._greeted(context)
        self._pid = os.getpid()
        self._timed(smtp).ehlo_or_helo_if_needed()
        if context is not None and not self.conf.implicit_tls:
            self._timed(smtp).starttls(context=context)
            self._timed(smtp).ehlo_or_helo_if_needed()
        if self.conf.user:
            self._timed(smtp).login(self.conf.user, self.conf.password)
        return smtp

    def _greeted(self, context: ssl.SSLContext | None) -> Smtp:
        # A given local_hostname spares a DNS look-up of our own name, which can take seconds.
        conf, seconds = self.conf, self._seconds_left()
        if conf.implicit_tls:
            return SmtpOverTls(
                conf.host,
                conf.port,
                conf.local_hostname,
                timeout=seconds,
                context=context,
            )
        return Smtp(conf.host, conf.port, conf.local_hostname, timeout=seconds)

    def _mail(self, smtp: Smtp, sender: Address, *, utf8: bool) -> Reply:
        # smtplib overlooks what a server without any extension (one that knows HELO only) cannot do.
        if utf8 and not smtp.has_extn("smtputf8"):
            raise no_utf8(self.conf, of_recipient=not sender.needs_utf8)
        return self._timed(smtp).mail(str(sender), ["SMTPUTF8"] if utf8 else [])

    def _timed(self, smtp: Smtp) -> Smtp:
        """Return `smtp`, its next reply due within what is left of the delivery's time."""
        if smtp.sock is not None:
            smtp.sock.settimeout(self._seconds_left())
        return smtp

    def _seconds_left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"not done within {self.conf.delivery_seconds:g} s")
        return min(left, self.conf.reply_seconds)

    def _expect(self, reply: Reply, what: str, *, of_recipient: bool = False) -> None:
        if not 200 <= reply[0] < 300:
            raise refusal(self.conf, reply, what, of_recipient=of_recipient)

    @contextmanager
    def _cleaning_up(self) -> Iterator[None]:
        """Turn whatever goes wrong into a MailError, and keep no connection whose state is in doubt."""
        try:
            yield
        except MailError as exc:
            # A final no to this mail says nothing against the connection; "later" may well be about it.
            if exc.permanent:
                self._reset()
            else:
                self.close()
            raise
        except (OSError, UnicodeError) as exc:
            self.close()
            raise failure(self.conf, exc) from exc
        except BaseException:
            # A time limit of the job can strike between any two replies.
            self.close()
            raise

    def _reset(self) -> None:
        try:
            if self._smtp is not None and self._timed(self._smtp).rset()[0] == 250:
                self._used_at = time.monotonic()
                return
        except OSError:
            pass  # Closed below.
        self.close()
