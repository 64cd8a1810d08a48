"""The jobs of this app."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from django.conf import settings
from django.utils import timezone

from jobs import Breaker, Cancel, Permanent, Snooze, job
from mail import bulk, conf, executors, messages
from mail.bulk import Mailing, Unfinished
from mail.errors import MailError, NothingToSend
from mail.fields import Body, EmailAddress, Language, Name, Recipients, Subject
from mail.mime import build
from mail.rendering import render

if TYPE_CHECKING:
    from celery import Task


#: What a server puts off, or does not answer, is tried again for four days: after 1 s, 2 s, 4 s … an hour, then every
#: two hours (RFC 5321, 4.5.4.1). Greylisting asks for minutes, a relay may be down for a night.
MAX_RETRIES = 60
LONGEST_PAUSE_SECONDS = 2 * 3600

#: The server, or service, without which no mail goes out. A server puts off single mails as well, for their recipients:
#: it takes more of them in a row than elsewhere to say that it is the server.
SERVER = Breaker(settings.MAIL_EXECUTOR, failures=10)


@job(
    name="mail.send",
    bind=True,
    queue="email",
    breaker=SERVER,
    max_retries=MAX_RETRIES,
    retry_backoff_max=LONGEST_PAUSE_SECONDS,
    time_limit=30,
)
def send(self: "Task[..., str]", /, kind: str, **details: str) -> str:
    """Write the message of this kind about `details` and hand it to the configured executor; return who it went to.

    Details are ids and plain words, never secrets: what must stay secret is made by the message's writer, here.

    The job ends as cancelled where there is nothing to send any more, dead at once where sending can never work,
    and is tried again after anything else.
    """
    with _as_outcome():
        return _send(self.request.id or str(uuid4()), kind, details)


@job(
    name="mail.send_custom",
    bind=True,
    queue="email",
    breaker=SERVER,
    max_retries=MAX_RETRIES,
    retry_backoff_max=LONGEST_PAUSE_SECONDS,
    time_limit=30,
    public=True,
    public_rate=f"{settings.MAIL_SUBMISSIONS_PER_HOUR}/h",
)
def send_custom(
    self: "Task[..., str]", to: EmailAddress, subject: Subject, body: Body, name: Name = "", language: Language = "en"
) -> str:
    """Send a message whose words come with the request, as clients may over HTTP; return who it went to.

    `send` does as much and more, so it is not public: other kinds of messages carry links that open accounts.
    """
    details = {"to": to, "subject": subject, "body": body, "name": name, "language": language}
    with _as_outcome():
        return _send(self.request.id or str(uuid4()), "custom", details)


@job(
    name="mail.send_bulk",
    bind=True,
    queue="email",
    breaker=SERVER,
    # Behind the mails that somebody waits for.
    priority=2,
    max_retries=MAX_RETRIES,
    retry_backoff_max=LONGEST_PAUSE_SECONDS,
    time_limit=60,
    ignore_result=False,
    public=True,
    public_rate=f"{settings.MAIL_BULK_SUBMISSIONS_PER_HOUR}/h",
)
def send_bulk(
    self: "Task[..., dict[str, str]]", recipients: Recipients, subject: Subject, body: Body, language: Language = "en"
) -> dict[str, str]:
    """Send a message to each of up to 1,000 addresses, none of whom sees the others; return what became of each.

    Each mail has a link by which its reader ends such mails; who has used it gets none. What was sent is not sent again
    by a later attempt. One recipient's refusal fails no other's mail.
    """
    job_id = UUID(self.request.id) if self.request.id else uuid4()
    mailing = Mailing(job_id, self.request.retries, recipients, subject, body, language)
    with _as_outcome():
        return bulk.carry_on(mailing)


@contextmanager
def _as_outcome() -> Iterator[None]:
    """Turn what this app raises into what becomes of the job."""
    try:
        yield
    except Unfinished as exc:
        raise Snooze(0, str(exc)) from exc
    except NothingToSend as exc:
        raise Cancel(str(exc)) from exc
    except MailError as exc:
        if exc.permanent:
            raise Permanent(str(exc)) from exc
        raise


def _send(job_id: str, kind: str, details: dict[str, str]) -> str:
    deliver, sender = executors.configured(), conf.sender()
    message = messages.write(kind, details)
    email = build(message, render(message), sender=sender, message_id=job_id, now=timezone.now())
    deliver(email, sender=sender, recipient=message.to)
    return f"sent to {message.to}"
