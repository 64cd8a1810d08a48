"""What a target gets, and what becomes of the job that tells it."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from jobs.alerts.tasks import alert, send_test
from jobs.models import AlertNotice, AlertTarget, Incident, Job
from jobs.webhooks import signing
from tests.jobs.alerts.conftest import Make
from tests.jobs.conftest import no_dispatcher_left
from tests.jobs.delivery import deliver
from tests.jobs.verifying import verify_in
from tests.servers import Valkey, WebhookServer, free_port

__all__ = ["no_dispatcher_left"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

TEXT = "7 dead letters of mail.send in the last hour: SMTP 550 <mailbox> & more"


def notice(target: AlertTarget, **changes: Any) -> AlertNotice:
    now = timezone.now()
    values = {"cause": "x", "text": TEXT, "room": "dead-letter-list", "query": "task=mail.send&error=SMTP+550"}
    incident = Incident.objects.create(**{**values, "opened_at": now, "seen_at": now, **changes})
    return AlertNotice.objects.create(target=target, incident=incident, created_at=now)


def ran(task: Any, *args: Any) -> Job:
    """Enqueue a job, run it once, and return what became of it."""
    job = Job.objects.get(pk=task.delay(*args).id)
    deliver(job)
    job.refresh_from_db()
    return job


def test_a_signed_webhook_says_what_is_wrong_and_leads_there(
    target: Make, receiver: WebhookServer, settings: Settings, valkey: Valkey
) -> None:
    told = notice(target())
    job = ran(alert, told.pk, "alert.raised")
    assert job.state == "succeeded", job.last_error
    (request,) = receiver.received
    said = json.loads(request.body)
    assert (said["type"], said["data"]["text"], said["data"]["site"]) == ("alert.raised", TEXT, "Nightshift")
    assert said["data"]["url"] == f"{settings.FRONTEND_HOST}/jobs/dead/list/?task=mail.send&error=SMTP+550"
    told.refresh_from_db()
    assert told.told_at is not None


def test_what_is_signed_is_verified_as_the_document_shows(
    target: Make, receiver: WebhookServer, valkey: Valkey
) -> None:
    aim = target()
    ran(alert, notice(aim).pk, "alert.raised")
    (request,) = receiver.received
    verify = verify_in("alerts.md")
    assert verify(aim.secret, request.headers, request.body)
    assert not verify(signing.new_secret(), request.headers, request.body)
    assert not verify(aim.secret, request.headers, request.body + b" ")
    assert not verify(aim.secret, {**request.headers, "webhook-timestamp": str(int(time.time()) - 600)}, request.body)


def test_signatures_are_those_of_standard_webhooks() -> None:
    # The example that its libraries are tested with.
    made = signing.headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_slack_gets_text_whose_signs_mean_nothing(target: Make, receiver: WebhookServer, valkey: Valkey) -> None:
    ran(alert, notice(target("slack"), text="<!channel> & <@U1> failed").pk, "alert.raised")
    (request,) = receiver.received
    assert request.path == "/services/T0/s3cr3t"
    text = json.loads(request.body)["text"]
    assert text.startswith("Nightshift: &lt;!channel&gt; &amp; &lt;@U1&gt; failed\n<http")
    assert text.endswith("|Look there>")


def test_a_mail_is_a_job_of_its_own_and_is_enqueued_once(target: Make, valkey: Valkey) -> None:
    told = notice(target("mail", address="ops@example.com"), text="Bad\x07 thing\nhappened " + "x" * 500)
    ran(alert, told.pk, "alert.raised")
    mail = Job.objects.get(task="mail.send")
    AlertNotice.objects.update(told_at=None)
    ran(alert, told.pk, "alert.raised")
    assert Job.objects.get(task="mail.send") == mail
    assert mail.kwargs["to"] == "ops@example.com"
    assert mail.kwargs["subject"].startswith("Nightshift: Bad thing happened xxx")
    assert len(mail.kwargs["subject"]) == 200
    assert "/jobs/dead/list/?task=mail.send" in mail.kwargs["body"]


def test_the_end_says_that_it_is_resolved(target: Make, receiver: WebhookServer, valkey: Valkey) -> None:
    began = datetime(2026, 3, 1, 23, 14, tzinfo=UTC)
    for hours in (0.5, 1):
        told = notice(target("slack", name=f"{hours}"), opened_at=began, resolved_at=began + timedelta(hours=hours))
        ran(alert, told.pk, "alert.resolved")
    texts = [json.loads(request.body)["text"].partition("\n")[0] for request in receiver.received]
    assert all(text.startswith("Nightshift: Resolved: 7 dead letters") for text in texts)
    assert texts[0].endswith("(01 Mar 23:14 to 23:44 UTC)")
    assert texts[1].endswith("(01 Mar 23:14 to 02 Mar 00:14 UTC)")
    assert not AlertNotice.objects.filter(told_at=None).exists()


def test_what_is_resolved_before_anybody_was_told_is_told_to_nobody(
    target: Make, receiver: WebhookServer, valkey: Valkey
) -> None:
    told = notice(target(), resolved_at=timezone.now())
    assert ran(alert, told.pk, "alert.raised").state == "cancelled"
    assert not receiver.received


@pytest.mark.parametrize("switch", ["off", "gone"])
def test_a_target_that_is_off_or_gone_is_told_nothing(
    target: Make, receiver: WebhookServer, valkey: Valkey, switch: str
) -> None:
    aim = target()
    told = notice(aim)
    aim.delete() if switch == "gone" else AlertTarget.objects.update(enabled=False)
    assert ran(alert, told.pk, "alert.raised").state == "cancelled"
    assert not receiver.received


@pytest.mark.parametrize("status", [500, 502, 503, 408, 425, 429])
def test_a_refusal_that_passes_is_tried_again(
    target: Make, receiver: WebhookServer, valkey: Valkey, status: int
) -> None:
    told = notice(target())
    receiver.answers.append((status, {}))
    job = ran(alert, told.pk, "alert.raised")
    assert (job.state, str(status) in job.last_error) == ("retrying", True)
    assert AlertNotice.objects.get().told_at is None


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 410])
def test_a_refusal_for_good_ends_the_job_and_no_redirection_is_followed(
    target: Make, receiver: WebhookServer, valkey: Valkey, status: int
) -> None:
    receiver.answers.append((status, {"Location": "http://127.0.0.1/"}))
    job = ran(alert, notice(target()).pk, "alert.raised")
    assert (job.state, str(status) in job.last_error) == ("dead", True)
    assert len(receiver.received) == 1


def test_a_pause_that_is_asked_for_is_kept_and_costs_no_attempt(
    target: Make, receiver: WebhookServer, valkey: Valkey
) -> None:
    receiver.answers.append((429, {"Retry-After": "120"}))
    job = ran(alert, notice(target()).pk, "alert.raised")
    assert (job.state, job.attempt) == ("scheduled", 0)
    assert job.run_at > timezone.now() + timedelta(seconds=60)


@pytest.mark.parametrize("how", ["hangs up", "is not there"])
def test_a_receiver_that_does_not_answer_is_asked_again_and_its_secret_is_in_no_error(
    target: Make, receiver: WebhookServer, valkey: Valkey, how: str
) -> None:
    receiver.answers.append(None)
    address = receiver.url if how == "hangs up" else f"http://127.0.0.1:{free_port()}/services/s3cr3t"
    job = ran(alert, notice(target("slack", address=address)).pk, "alert.raised")
    assert job.state == "retrying"
    assert "s3cr3t" not in job.last_error + "".join(one.traceback for one in job.attempts.all())


def test_an_address_that_is_private_is_not_asked(
    target: Make, receiver: WebhookServer, settings: Settings, valkey: Valkey
) -> None:
    settings.JOBS_WEBHOOK_NETWORKS = ()
    job = ran(alert, notice(target()).pk, "alert.raised")
    assert (job.state, "no public address" in job.last_error) == ("dead", True)
    assert not receiver.received


def test_a_name_is_connected_to_under_its_own_name(target: Make, receiver: WebhookServer, valkey: Valkey) -> None:
    aim = target(address=f"http://localhost:{receiver.port}/x")
    job = ran(alert, notice(aim).pk, "alert.raised")
    # localhost may have an address of IPv6 as well, which is not allowed here.
    if job.state == "succeeded":
        assert receiver.received[0].headers["host"] == f"localhost:{receiver.port}"
    else:
        assert "no public address" in job.last_error


def test_the_arguments_of_a_job_hold_no_address_and_no_secret(target: Make, valkey: Valkey) -> None:
    ran(alert, notice(target()).pk, "alert.raised")
    assert set(map(type, Job.objects.get().args)) == {int, str}
    assert Job.objects.get().args[1] == "alert.raised"


def test_a_test_says_that_it_is_one(target: Make, receiver: WebhookServer, valkey: Valkey) -> None:
    assert ran(send_test, target().pk).state == "succeeded"
    assert json.loads(receiver.received[0].body)["type"] == "alert.test"
    assert ran(send_test, 0).state == "cancelled"
