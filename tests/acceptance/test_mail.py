"""The whole way of a mail: from a form through ledger, broker, worker and SMTP conversation."""

from collections import Counter
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from jobs.models import Job
from mail.models import Recipient
from mail.tasks import send, send_bulk
from tests.acceptance.engine import IMPATIENT, on_postgres, on_sqlite, two_houses
from tests.acceptance.worker import Worker
from tests.servers import SmtpServer
from tests.waiting import always, wait_for

pytestmark = pytest.mark.usefixtures("database")
StartWorker = Callable[..., Worker]
NEWS = {"kind": "custom", "to": "jane@example.com", "subject": "News", "body": "Hi"}


def job_once(state: str, seconds: float = 15.0) -> Job:
    """Wait until a job has come to this state, and return it."""
    job = wait_for(lambda: Job.objects.filter(state=state).first(), seconds, what=f"a {state} job")
    assert job is not None
    return job


@two_houses
def test_a_sign_up_ends_as_a_delivered_mail(smtp: SmtpServer, start_worker: StartWorker, pool: str) -> None:
    Client().post(reverse("accounts:sign-up"), {"email": "dora@example.com"})
    worker = start_worker(pool=pool)
    job = job_once("succeeded")
    (mail,) = smtp.mails
    assert mail.recipients == ["dora@example.com"]
    assert mail.message["Message-ID"] == f"<{job.id}@example.com>"
    # Whoever reads the log learns who got a mail, but not the link in it.
    assert "/verify/" not in worker.log_text()
    assert "/verify/" not in str([job.args, job.kwargs, job.options, job.last_error])


@on_sqlite
def test_one_worker_sends_many_mails_over_one_connection(smtp: SmtpServer, start_worker: StartWorker) -> None:
    send.delay_many([{**NEWS, "subject": f"News {number}"} for number in range(10)])
    start_worker(pool="prefork", concurrency=1)
    wait_for(lambda: len(smtp.mails) == 10)
    assert smtp.connections == 1


@on_postgres
def test_a_server_that_comes_back_gets_the_mail_once(smtp: SmtpServer, start_worker: StartWorker) -> None:
    smtp.refuse("RCPT", "451 4.7.1 greylisted", times=2)
    send.delay(**NEWS)
    start_worker(pool="threads")
    job = job_once("succeeded")
    assert job.attempt == 3
    assert [attempt.error_type.rpartition(".")[2] for attempt in job.attempts.all()] == ["MailError"] * 2
    always(lambda: len(smtp.mails) == 1, 0.5)


@on_sqlite
def test_a_final_refusal_is_dead_at_once_and_says_why(smtp: SmtpServer, start_worker: StartWorker) -> None:
    smtp.refuse("RCPT", "550 5.1.1 no such user")
    send.delay(**NEWS)
    start_worker(pool="threads")
    job = job_once("dead")
    assert job.attempt == 1
    assert "550 5.1.1 no such user" in job.last_error


@on_postgres
def test_a_letter_nobody_needs_any_more_is_cancelled(smtp: SmtpServer, start_worker: StartWorker) -> None:
    bob = User.objects.create_user("bob@example.com")
    send.delay(kind="verification", user_id=str(bob.pk))
    bob.delete()
    start_worker(pool="threads")
    job_once("cancelled")
    assert not smtp.mails


def test_a_mailing_over_a_killed_worker_reaches_everybody_and_nobody_gets_another_mail(
    smtp: SmtpServer, start_worker: StartWorker
) -> None:
    readers = [f"reader{number}@example.com" for number in range(300)]
    smtp.refuse("RCPT", "550 5.1.1 no such user", recipient="reader7@")
    send_bulk.delay(recipients=readers, subject="News", body="Hi")
    worker = start_worker(pool="prefork", concurrency=1, environment=IMPATIENT)
    wait_for(lambda: len(smtp.mails) >= 50, 30, what="50 mails")
    worker.kill()
    killed_at = len(smtp.mails)
    start_worker(pool="prefork", concurrency=1, environment=IMPATIENT)
    job_once("succeeded", 60)
    assert killed_at < len(readers) - 1
    ids: dict[str, set[str]] = {}
    for mail in smtp.mails:
        ids.setdefault(mail.recipients[0], set()).add(str(mail.message["Message-ID"]))
    assert set(ids) == set(readers) - {"reader7@example.com"}
    assert {len(found) for found in ids.values()} == {1}
    # The kill may have struck between a mail and its row.
    assert len(smtp.mails) - len(ids) <= 1
    found = Counter(Recipient.objects.values_list("outcome", flat=True))
    assert found == {"sent": len(readers) - 1, "refused": 1}
