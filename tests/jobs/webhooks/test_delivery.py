"""What a receiver gets, and what becomes of the job that tells it, whatever the receiver answers."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from jobs import job
from jobs.core.states import FINAL
from jobs.ledger.prune import Past, prune_jobs
from jobs.models import DeadLetter, Job, Webhook, WebhookDelivery
from jobs.operations import webhooks
from jobs.webhooks import signing
from tests.jobs.delivery import deliver
from tests.jobs.verifying import DOCUMENTS, verify_in
from tests.jobs.webhooks.conftest import Make
from tests.servers import Valkey, WebhookServer, free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


@job(name="tests.heard")
def heard() -> None:
    """Succeed."""


def event_for(webhook: Webhook) -> Job:
    """Have something happen, and return the job that is to tell of it."""
    deliver(heard.delay().job)
    return webhook.deliveries.get().job


def told(webhook: Webhook) -> Job:
    """Have something happen, tell it once, and return the job that did."""
    row = event_for(webhook)
    deliver(row)
    return row


def test_the_receiver_gets_the_event_under_the_id_of_its_job(
    webhook: Make, receiver: WebhookServer, valkey: Valkey
) -> None:
    row = told(webhook())
    assert row.state == "succeeded", row.last_error
    (request,) = receiver.received
    said = json.loads(request.body)
    assert (said["id"], said["type"], said["data"]["site"]) == (str(row.pk), "job.succeeded", "Nightshift")
    assert (request.headers["webhook-id"], request.headers["content-type"]) == (str(row.pk), "application/json")
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.of_job) == (200, Job.objects.get(task="tests.heard").pk)
    assert delivery.seconds is not None
    assert delivery.tried_at is not None


def test_what_is_signed_is_verified_as_the_document_shows(
    webhook: Make, receiver: WebhookServer, valkey: Valkey
) -> None:
    crm = webhook()
    told(crm)
    (request,) = receiver.received
    verify = verify_in("webhooks.md")
    assert verify(crm.secret, request.headers, request.body)
    assert not verify(signing.new_secret(), request.headers, request.body)
    assert not verify(crm.secret, request.headers, request.body + b" ")
    for passed in (-600, 600):
        late = {**request.headers, "webhook-timestamp": str(int(time.time()) + passed)}
        assert not verify(crm.secret, late, request.body)


def test_what_is_sent_is_what_the_document_shows(webhook: Make, receiver: WebhookServer, valkey: Valkey) -> None:
    told(webhook())
    said = json.loads(receiver.received[0].body)
    shown = json.loads(re.findall(r"```json\n(.*?)```", (DOCUMENTS / "webhooks.md").read_text(), re.DOTALL)[0])
    assert (said.keys(), said["data"].keys()) == (shown.keys(), shown["data"].keys())
    assert said["data"]["job"].keys() == shown["data"]["job"].keys()


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 425, 429])
def test_a_refusal_that_passes_is_tried_again_with_the_same_id_and_another_signature(
    webhook: Make, receiver: WebhookServer, valkey: Valkey, status: int
) -> None:
    receiver.answers.append((status, {}))
    row = told(webhook())
    assert (row.state, row.attempt, WebhookDelivery.objects.get().status) == ("retrying", 1, status)
    Job.objects.filter(pk=row.pk).update(state="queued", run_at=timezone.now())
    deliver(row)
    first, second = receiver.received
    assert (row.state, WebhookDelivery.objects.get().status) == ("succeeded", 200)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 410, 422])
def test_a_refusal_for_good_is_dead_and_no_redirection_is_followed(
    webhook: Make, receiver: WebhookServer, valkey: Valkey, status: int
) -> None:
    receiver.answers.append((status, {"Location": f"{receiver.url}/elsewhere"}))
    row = told(webhook())
    assert (row.state, str(status) in row.last_error) == ("dead", True)
    assert (len(receiver.received), WebhookDelivery.objects.get().status) == (1, status)


@pytest.mark.parametrize("asked", ["120", "a time"])
def test_a_pause_that_is_asked_for_is_kept_and_costs_no_attempt(
    webhook: Make, receiver: WebhookServer, valkey: Valkey, asked: str
) -> None:
    at = timezone.now() + timedelta(seconds=120)
    receiver.answers.append((503, {"Retry-After": format_datetime(at, usegmt=True) if asked == "a time" else asked}))
    row = told(webhook())
    assert (row.state, row.attempt) == ("scheduled", 0)
    assert timedelta(seconds=60) < row.run_at - timezone.now() < timedelta(seconds=180)


@pytest.mark.parametrize("asked", ["0", "-5", "soon", "", "Mon, 02 Jan 2006 15:04:05 GMT", "٣"])
def test_a_pause_of_no_length_is_none_and_the_attempt_counts(
    webhook: Make, receiver: WebhookServer, valkey: Valkey, asked: str
) -> None:
    receiver.answers.append((503, {"Retry-After": asked.encode().decode("latin-1")}))
    row = told(webhook())
    assert (row.state, row.attempt) == ("retrying", 1)


@pytest.mark.parametrize("how", ["hangs up", "is not there"])
def test_a_receiver_that_does_not_answer_is_asked_again(
    webhook: Make, receiver: WebhookServer, valkey: Valkey, how: str
) -> None:
    receiver.answers.append(None)
    address = receiver.url if how == "hangs up" else f"http://127.0.0.1:{free_port()}/services/s3cr3t"
    row = told(webhook(url=address))
    delivery = WebhookDelivery.objects.get()
    assert (row.state, delivery.status) == ("retrying", None)
    assert delivery.tried_at is not None


@contextmanager
def endless(answer: bytes) -> Iterator[str]:
    """Answer one request with this and then for ever; yields the address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                try:
                    while True:
                        connection.sendall(b"x" * 65536)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join(10)


@pytest.mark.parametrize(
    "answer, state",
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "succeeded"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 99999999999\r\n\r\n", "retrying"),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", "retrying"),
        (b"what is this", "retrying"),
    ],
)
def test_an_answer_without_an_end_is_not_read(
    webhook: Make, receiver: WebhookServer, valkey: Valkey, answer: bytes, state: str
) -> None:
    with endless(answer) as address:
        row = told(webhook(url=address))
    assert row.state == state, row.last_error


def test_an_address_that_has_become_private_is_not_asked(
    webhook: Make, receiver: WebhookServer, settings: Settings, valkey: Valkey
) -> None:
    crm = webhook()
    settings.JOBS_WEBHOOK_NETWORKS = ()
    row = told(crm)
    assert (row.state, "no public address" in row.last_error) == ("dead", True)
    assert not receiver.received


@pytest.mark.parametrize("switch", ["off", "gone"])
def test_a_webhook_that_is_off_or_gone_is_told_nothing(
    webhook: Make, receiver: WebhookServer, valkey: Valkey, switch: str
) -> None:
    crm = webhook()
    row = event_for(crm)
    webhooks.delete(crm, actor="bob") if switch == "gone" else webhooks.switch(crm, on=False, actor="bob")
    deliver(row)
    assert row.state == "cancelled"
    assert not receiver.received


def test_a_test_is_sent_once_though_the_webhook_is_disabled(
    webhook: Make, receiver: WebhookServer, valkey: Valkey
) -> None:
    crm = webhook(enabled=False)
    row = Job.objects.get(pk=webhooks.send_test(crm, actor="bob"))
    receiver.answers.append((500, {}))
    deliver(row)
    assert (row.state, json.loads(receiver.received[0].body)["type"]) == ("dead", "webhook.test")


def test_what_died_is_delivered_again_under_the_same_id(webhook: Make, receiver: WebhookServer, valkey: Valkey) -> None:
    crm = webhook()
    receiver.answers.append((404, {}))
    row = told(crm)
    assert webhooks.redeliver(crm, actor="bob", dry_run=True).matched == 1
    assert webhooks.redeliver(crm, actor="bob").changed == 1
    deliver(row)
    assert row.state == "succeeded"
    assert {request.headers["webhook-id"] for request in receiver.received} == {str(row.pk)}
    assert webhooks.redeliver(crm, actor="bob").matched == 0


def test_only_the_deliveries_of_the_webhook_are_made_again(
    webhook: Make, receiver: WebhookServer, valkey: Valkey
) -> None:
    crm, other = webhook(), webhook(name="other")
    deliver(heard.delay().job)
    row = other.deliveries.get().job
    deliver(row)
    assert webhooks.redeliver(crm, ids=[row.pk], actor="bob").changed == 0
    assert webhooks.redeliver(other, ids=[row.pk], actor="bob").changed == 1


def test_no_secret_and_no_address_is_in_job_error_or_dead_letter(
    webhook: Make, receiver: WebhookServer, valkey: Valkey
) -> None:
    crm = webhook()
    receiver.answers.append((404, {}))
    row = told(crm)
    kept = json.dumps([row.args, row.kwargs, row.options, row.last_error, row.result], default=str)
    kept += "".join(f"{one.error}{one.traceback}" for one in row.attempts.all())
    kept += "".join(f"{letter.error}{bytes(letter.body)!r}{letter.headers}" for letter in DeadLetter.objects.all())
    kept += str(valkey.client.lrange("maintenance.dead", 0, -1))
    assert "s3cr3t" not in kept
    assert crm.secret.removeprefix("whsec_") not in kept


def test_a_job_that_is_pruned_takes_its_delivery_along(webhook: Make, receiver: WebhookServer, valkey: Valkey) -> None:
    told(webhook())
    assert prune_jobs(Past(FINAL, 0), 100) == 2
    assert not WebhookDelivery.objects.exists()
