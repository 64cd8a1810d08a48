"""The mail that a test's people get."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from jobs import Cancel
from jobs.models import Job
from mail.tasks import send
from tests.servers import ReceivedMail, SmtpServer

LINK = re.compile(r"http://testserver(/\S*)")


@dataclass
class Mailbox:
    """Runs the mail jobs that were enqueued, through a real SMTP server, and shows what arrived."""

    server: SmtpServer
    #: Why messages were not sent, in order.
    cancelled: list[str] = field(default_factory=list)

    def receive(self) -> list[ReceivedMail]:
        """Send what is queued, and return the mails that came of it."""
        before = len(self.server.mails)
        for job in Job.objects.filter(task="mail.send").order_by("id"):
            try:
                send(**job.kwargs)
            except Cancel as reason:
                self.cancelled.append(str(reason))
            job.delete()
        return self.server.mails[before:]

    def receive_one(self) -> ReceivedMail:
        """Send what is queued, which must be one mail, and return it."""
        (mail,) = self.receive()
        return mail

    def receive_link(self) -> str:
        """Send what is queued, and return the path of the link in it."""
        return link_in(self.receive_one())


def link_in(mail: ReceivedMail) -> str:
    """Return the path of the first link to the site in a mail's text, which its HTML must have, too."""
    found = LINK.search(text_of(mail))
    assert found, text_of(mail)
    assert found[0] in html_of(mail)
    return urlsplit(found[0]).path


def text_of(mail: ReceivedMail) -> str:
    """Return a mail's plain text."""
    return _body(mail, "plain")


def html_of(mail: ReceivedMail) -> str:
    """Return a mail's HTML."""
    return _body(mail, "html")


def _body(mail: ReceivedMail, subtype: str) -> str:
    part = mail.message.get_body((subtype,))
    assert part is not None
    return str(part.get_content())
