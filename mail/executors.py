"""How a message is sent: the contract of an executor, and the one that MAIL_EXECUTOR names."""

from email.message import EmailMessage
from functools import partial
from typing import Protocol

from django.conf import settings

from mail import client, conf
from mail.addresses import Address


class Executor(Protocol):
    """Hands one message to whoever delivers it.

    Every executor keeps the same contract (`tests/mail/test_contract.py`).
    """

    def __call__(self, message: EmailMessage, *, sender: Address, recipient: Address) -> None:
        """Return once the other side has accepted the message for `recipient`.

        It tries once: what may pass is tried again by the job's own policy. It comes to an end within 20 seconds or so.

        Raises:
            MailError: permanent where the other side refused for good or cannot do what is needed, else retryable.
        """


def configured() -> Executor:
    """Return the executor of the settings. Raises a permanent MailError where they do not suffice."""
    if settings.MAIL_EXECUTOR == "ses":
        # It loads boto3, which takes as long as all of Django, and needs memory in each process.
        from mail import ses  # noqa: PLC0415

        return partial(ses.deliver, conf.ses_conf())
    return partial(client.deliver, conf.smtp_conf())
