"""The one job of this app."""

from typing import TYPE_CHECKING
from uuid import uuid4

from django.utils import timezone

from jobs import Cancel, Permanent, job
from mail import conf, letters
from mail.client import deliver
from mail.errors import MailError, NothingToSend
from mail.messages import build
from mail.rendering import render

if TYPE_CHECKING:
    from celery import Task


@job(name="mail.send", bind=True, queue="email", max_retries=5, time_limit=30)
def send(self: "Task[..., str]", kind: str, **details: str) -> str:
    """Write the letter of this kind about `details` and hand it to the mail server; return who took it.

    Details are ids and plain words, never secrets: what must stay secret is made by the letter's writer, here.

    The job ends as cancelled where there is nothing to send any more, dead at once where sending can never work,
    and is retried after anything else.
    """
    try:
        return _send(self.request.id or str(uuid4()), kind, details)
    except NothingToSend as exc:
        raise Cancel(str(exc)) from exc
    except MailError as exc:
        if exc.permanent:
            raise Permanent(str(exc)) from exc
        raise


def _send(job_id: str, kind: str, details: dict[str, str]) -> str:
    server, sender = conf.smtp_conf(), conf.sender()
    letter = letters.write(kind, details)
    message = build(letter, render(letter), sender=sender, message_id=job_id, now=timezone.now())
    deliver(server, message, sender=sender, recipient=letter.to)
    return f"sent to {letter.to}"
