"""Hands messages to Amazon SES, through version 2 of its API: one HTTPS request a mail, over kept connections.

botocore's own retries are off: the job's own policy decides on that, from `MailError.permanent`.
"""

import os
from email.message import EmailMessage
from email.policy import SMTP
from functools import lru_cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from mail.addresses import Address
from mail.conf import SesConf
from mail.errors import MailError
from mail.ses_failures import explained

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client


def deliver(conf: SesConf, message: EmailMessage, *, sender: Address, recipient: Address) -> None:
    """Hand `message` over, as `mail.executors.Executor` promises.

    SES gives it a `Message-ID` of its own in place of ours.
    """
    for address in (sender, recipient):
        if address.needs_utf8:
            raise MailError(
                f"Amazon SES takes no mailbox outside ASCII, such as {address}: SMTPUTF8 not supported.",
                permanent=True,
                of_recipient=address is recipient,
            )
    with explained(conf, sender, recipient):
        answer = _connected(conf, os.getpid()).send_email(
            FromEmailAddress=str(sender),
            Destination={"ToAddresses": [str(recipient)]},
            Content={"Raw": {"Data": message.as_bytes(policy=SMTP)}},
        )
    if not answer.get("MessageId"):
        # Something between us and SES has answered, a captive proxy for example.
        raise MailError(f"Amazon SES in {conf.region} did not say that it took the mail to {recipient}.")


@lru_cache(maxsize=8)
def _connected(conf: SesConf, pid: int) -> "SESV2Client":
    """Return a process's client; a connection inherited through a fork is the parent's."""
    return boto3.session.Session().client(
        "sesv2",
        region_name=conf.region,
        endpoint_url=conf.endpoint or None,
        aws_access_key_id=conf.access_key or None,
        aws_secret_access_key=conf.secret_key or None,
        config=Config(
            connect_timeout=conf.connect_seconds,
            read_timeout=conf.read_seconds,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=20,
        ),
    )
