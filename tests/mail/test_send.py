"""The task that sends, called as a function."""

import pickle
import re
from html import unescape

import pytest
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from jobs import Cancel, Permanent
from jobs.core.outcome import Dead, Reason, RetryIn, Tries, after_error
from jobs.models import Job
from mail.errors import InvalidMail, MailError
from mail.tasks import MAX_RETRIES, send
from tests.jobs.delivery import deliver
from tests.servers import SmtpServer

NEWS = {"kind": "custom", "to": "jane@example.com", "subject": "News", "body": "Hi"}


def test_a_message_is_written_rendered_and_delivered(smtp: SmtpServer) -> None:
    assert send(**NEWS) == "sent to jane@example.com"
    (mail,) = smtp.mails
    assert mail.sender == "nightshift@example.com"
    assert mail.message["From"] == "Nightshift <nightshift@example.com>"
    assert mail.message["Subject"] == "News"


def test_what_cannot_ever_work_is_permanent(smtp: SmtpServer) -> None:
    smtp.refuse("RCPT", "550 5.1.1 no such user")
    with pytest.raises(Permanent, match=r"refused the recipient jane@example.com: 550 5.1.1 no such user"):
        send(**NEWS)


def test_what_may_pass_is_tried_for_days_with_growing_pauses() -> None:
    last = MAX_RETRIES + 1
    outcomes = [
        after_error(MailError("451 later"), send.policy, Tries(attempt), lambda: 0.5) for attempt in range(1, last)
    ]
    pauses = [outcome.delay for outcome in outcomes if isinstance(outcome, RetryIn)]
    assert len(pauses) == len(outcomes)
    assert pauses == sorted(pauses)
    # Greylisting and a restarted relay are waited for in minutes; RFC 5321 asks for two tries in the first hour, one
    # every two or three hours after it, and four days at least.
    assert sum(pause <= 300 for pause in pauses) >= 5
    assert max(pauses) <= 3 * 3600
    assert 4 <= sum(pauses) / 86_400 <= 5
    assert after_error(MailError("451 later"), send.policy, Tries(last), lambda: 0.5) == Dead(Reason.EXHAUSTED)


@pytest.mark.django_db
@pytest.mark.parametrize("unreachable", [False, True])
def test_a_mail_that_was_put_off_for_hours_waits_on_and_says_why(smtp: SmtpServer, unreachable: bool) -> None:
    if unreachable:
        smtp.stop()
    smtp.refuse("RCPT", "451 4.7.1 greylisted")
    job: Job = send.delay(**NEWS).job
    Job.objects.filter(pk=job.pk).update(attempt=20)
    deliver(job)
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("retrying", 21)
    assert 1.7 * 3600 < (job.run_at - timezone.now()).total_seconds() < 2.3 * 3600
    assert ("failed us" if unreachable else "put off the recipient jane@example.com: 451 4.7.1") in job.last_error
    assert [attempt.outcome for attempt in job.attempts.all()] == ["retrying"]


@pytest.mark.django_db
def test_the_dashboard_shows_a_mail_that_was_put_off_and_until_when(smtp: SmtpServer, admin_client: Client) -> None:
    smtp.refuse("RCPT", "451 4.7.1 greylisted")
    job: Job = send.delay(**NEWS).job
    deliver(job)
    pages = [
        admin_client.get(reverse("jobs:job", args=[job.pk])).content.decode(),
        admin_client.get(reverse("jobs:jobs"), {"q": "task:mail.send state:retrying"}).content.decode(),
    ]
    for page in pages:
        text = " ".join(unescape(re.sub("<[^>]+>", " ", page)).split())
        assert "put off the recipient jane@example.com: 451 4.7.1 greylisted" in text
        assert f"1/{MAX_RETRIES + 1}" in text
        assert re.search(r"\bdue\b", text.lower())


def test_what_may_pass_is_tried_again(smtp: SmtpServer) -> None:
    smtp.refuse("RCPT", "451 4.7.1 greylisted")
    with pytest.raises(MailError) as caught:
        send(**NEWS)
    assert not caught.value.permanent


@pytest.mark.parametrize(
    "details,reason",
    [
        ({"kind": "poem"}, "no message of kind 'poem'"),
        ({**NEWS, "to": "nobody"}, "'nobody' is not an email address"),
        ({**NEWS, "subject": "News\r\nBcc: all@example.com"}, r"control character U\+000D at position 4"),
        ({**NEWS, "color": "red"}, "cannot be written from"),
    ],
)
def test_a_senseless_request_is_permanent_and_reaches_no_server(
    smtp: SmtpServer, details: dict[str, str], reason: str
) -> None:
    with pytest.raises(Permanent, match=reason):
        send(**details)
    assert smtp.connections == 0


@override_settings(SMTP_HOST="")
def test_without_a_mail_server_the_job_says_what_to_set() -> None:
    with pytest.raises(Permanent, match="No mail server is configured: set SMTP_HOST"):
        send(**NEWS)


@override_settings(EMAILS_FROM_EMAIL="nobody")
def test_an_unusable_sender_is_named() -> None:
    with pytest.raises(Permanent, match="EMAILS_FROM_EMAIL or EMAILS_FROM_NAME is not usable: 'nobody' is not"):
        send(**NEWS)


@pytest.mark.django_db
def test_a_message_that_became_pointless_cancels_its_job(alice: User, smtp: SmtpServer) -> None:
    with pytest.raises(Cancel, match="has been verified meanwhile"):
        send(kind="verification", user_id=str(alice.pk))
    assert not smtp.mails


@pytest.mark.parametrize("error", [MailError("later"), MailError("never", permanent=True), InvalidMail("no")])
def test_errors_survive_the_way_between_processes(error: MailError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  Our own bytes.
    assert (type(copy), str(copy), copy.permanent) == (type(error), str(error), error.permanent)
