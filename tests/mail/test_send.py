"""The task that sends, called as a function."""

import pickle

import pytest
from django.test import override_settings

from accounts.models import User
from jobs import Cancel, Permanent
from mail.errors import InvalidMail, MailError
from mail.tasks import send
from tests.servers import SmtpServer

NEWS = {"kind": "custom", "to": "jane@example.com", "subject": "News", "body": "Hi"}


def test_a_letter_is_written_rendered_and_delivered(smtp: SmtpServer) -> None:
    assert send(**NEWS) == "sent to jane@example.com"
    (mail,) = smtp.mails
    assert mail.sender == "nightshift@example.com"
    assert mail.message["From"] == "Nightshift <nightshift@example.com>"
    assert mail.message["Subject"] == "News"


def test_what_cannot_ever_work_is_permanent(smtp: SmtpServer) -> None:
    smtp.refuse("RCPT", "550 5.1.1 no such user")
    with pytest.raises(Permanent, match=r"refused the recipient jane@example.com: 550 5.1.1 no such user"):
        send(**NEWS)


def test_what_may_pass_is_tried_again(smtp: SmtpServer) -> None:
    smtp.refuse("RCPT", "451 4.7.1 greylisted")
    with pytest.raises(MailError) as caught:
        send(**NEWS)
    assert not caught.value.permanent


@pytest.mark.parametrize(
    "details,reason",
    [
        ({"kind": "poem"}, "no letter of kind 'poem'"),
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
def test_a_letter_that_became_pointless_cancels_its_job(alice: User, smtp: SmtpServer) -> None:
    with pytest.raises(Cancel, match="has been verified meanwhile"):
        send(kind="verification", user_id=str(alice.pk))
    assert not smtp.mails


@pytest.mark.parametrize("error", [MailError("later"), MailError("never", permanent=True), InvalidMail("no")])
def test_errors_survive_the_way_between_processes(error: MailError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  Our own bytes.
    assert (type(copy), str(copy), copy.permanent) == (type(error), str(error), error.permanent)
