"""What the tests of the contract make each executor's other side do, in the same words."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from functools import partial
from typing import Protocol

from mail import client, ses
from mail.addresses import Address
from mail.conf import SesConf, SmtpConf
from mail.executors import Executor
from tests.servers import ReceivedMail, SesServer, SmtpServer

#: How long our side waits: for a server that is to be silent a moment only, lest it cost a test the whole time.
SECONDS = 10.0
MOMENT = 0.4


class OtherSide(Protocol):
    """Who takes an executor's messages."""

    @property
    def mails(self) -> Sequence[ReceivedMail]:
        """What was taken."""
        ...

    @property
    def takes_utf8(self) -> bool:
        """Whether it takes mailboxes outside ASCII."""
        ...

    def executor(self) -> Executor:
        """Return our side."""
        ...

    def refuse_for_good(self, words: str, recipient: str = "") -> None:
        """Refuse mails, or those for a recipient, as ones that will never be taken."""
        ...

    def put_off(self, words: str) -> None:
        """Refuse mails for now."""
        ...

    def refuse_log_in(self) -> None:
        """Know nobody."""
        ...

    def fall_silent(self) -> None:
        """Answer nothing."""
        ...

    def hang_up(self) -> None:
        """Drop the connection without an answer."""
        ...

    def stop(self) -> None:
        """Listen no more."""
        ...

    def behave(self) -> None:
        """Forget every fault, and listen."""
        ...


class SmtpSide:
    """A mail server."""

    takes_utf8 = True

    def __init__(self, server: SmtpServer) -> None:
        self.server = server
        self._user = ""
        self._seconds = SECONDS

    @property
    def mails(self) -> Sequence[ReceivedMail]:
        return self.server.mails

    def executor(self) -> Executor:
        conf = SmtpConf(
            "127.0.0.1", self.server.port, self._user, tls=False, reply_seconds=self._seconds, delivery_seconds=SECONDS
        )
        return partial(client.deliver, conf)

    def refuse_for_good(self, words: str, recipient: str = "") -> None:
        self.server.refuse("RCPT", f"550 5.1.1 {words}", recipient=recipient or None)

    def put_off(self, words: str) -> None:
        self.server.refuse("RCPT", f"451 4.7.1 {words}")

    def refuse_log_in(self) -> None:
        self._user = "nobody"

    def fall_silent(self) -> None:
        self._seconds = MOMENT
        self.server.fall_silent_at("CONTENT")

    def hang_up(self) -> None:
        self.server.hang_up_at("CONTENT")

    def stop(self) -> None:
        self.server.stop()

    def behave(self) -> None:
        self._seconds = SECONDS
        self.server.start()
        self.server.behave()


class SesSide:
    """Amazon SES."""

    takes_utf8 = False

    def __init__(self, server: SesServer) -> None:
        self.server = server
        self._secret = server.secret_key
        self._seconds = SECONDS

    @property
    def mails(self) -> Sequence[ReceivedMail]:
        return self.server.mails

    def conf(self) -> SesConf:
        """Return how to reach it."""
        server = self.server
        return SesConf(server.region, server.access_key, self._secret, server.url, self._seconds, self._seconds)

    def executor(self) -> Executor:
        return partial(ses.deliver, self.conf())

    def refuse_for_good(self, words: str, recipient: str = "") -> None:
        self.server.refuse(400, "MessageRejected", words, recipient=recipient)

    def put_off(self, words: str) -> None:
        self.server.refuse(429, "TooManyRequestsException", words)

    def refuse_log_in(self) -> None:
        self._secret = "another"  # noqa: S105  Guards nothing.

    def fall_silent(self) -> None:
        self._seconds = MOMENT
        self.server.fall_silent()

    def hang_up(self) -> None:
        self.server.hang_up()

    def stop(self) -> None:
        self.server.stop()

    def behave(self) -> None:
        self._seconds = SECONDS
        self.server.start()
        self.server.behave()


@contextmanager
def running_ses() -> Iterator[SesServer]:
    """Run an Amazon SES of a test's own."""
    server = SesServer().start()
    try:
        yield server
    finally:
        server.stop()


def hand_over(side: OtherSide, message: EmailMessage, sender: Address, recipient: Address) -> None:
    """Give one message to an executor."""
    side.executor()(message, sender=sender, recipient=recipient)
