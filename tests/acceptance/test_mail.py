"""The whole way of a mail: from a form through ledger, broker, worker and SMTP conversation."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from jobs.models import Job
from mail.tasks import send
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


@pytest.mark.parametrize("pool", ["prefork", "threads"])
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


def test_one_worker_sends_many_mails_over_one_connection(smtp: SmtpServer, start_worker: StartWorker) -> None:
    send.delay_many([{**NEWS, "subject": f"News {number}"} for number in range(10)])
    start_worker(pool="prefork", concurrency=1)
    wait_for(lambda: len(smtp.mails) == 10)
    assert smtp.connections == 1


def test_a_server_that_comes_back_gets_the_mail_once(smtp: SmtpServer, start_worker: StartWorker) -> None:
    smtp.refuse("RCPT", "451 4.7.1 greylisted", times=2)
    send.delay(**NEWS)
    start_worker(pool="threads")
    job = job_once("succeeded")
    assert job.attempt == 3
    assert [attempt.error_type.rpartition(".")[2] for attempt in job.attempts.all()] == ["MailError"] * 2
    always(lambda: len(smtp.mails) == 1, 0.5)


def test_a_final_refusal_is_dead_at_once_and_says_why(smtp: SmtpServer, start_worker: StartWorker) -> None:
    smtp.refuse("RCPT", "550 5.1.1 no such user")
    send.delay(**NEWS)
    start_worker(pool="threads")
    job = job_once("dead")
    assert job.attempt == 1
    assert "550 5.1.1 no such user" in job.last_error


def test_a_letter_nobody_needs_any_more_is_cancelled(smtp: SmtpServer, start_worker: StartWorker) -> None:
    bob = User.objects.create_user("bob@example.com")
    send.delay(kind="verification", user_id=str(bob.pk))
    bob.delete()
    start_worker(pool="threads")
    job_once("cancelled")
    assert not smtp.mails
