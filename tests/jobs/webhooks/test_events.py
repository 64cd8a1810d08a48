"""What becomes of a job is told once to each webhook that wants it, by whichever way the job came to that."""

import json
import time
from typing import Any, cast

import pytest
from celery import current_app
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs import Permanent, job
from jobs.compose import groups
from jobs.core.correlation import correlated
from jobs.core.outcome import Reason, Succeeded
from jobs.core.states import State
from jobs.deadletters.publisher import give_up
from jobs.ledger.attempts import Failure
from jobs.maintenance.rescue import Rescue
from jobs.models import Job, WebhookDelivery
from jobs.operations import webhooks
from jobs.webhooks.subscriptions import Subscription
from jobs.worker.engine import Engine
from jobs.worker.pending_writes import ParkedJob
from jobs.worker.recorder import End, Recorder
from tests.jobs import verbs
from tests.jobs.delivery import InThisProcess, deliver
from tests.jobs.reserving import Reserving
from tests.jobs.webhooks.conftest import Make
from tests.servers import Valkey, WebhookServer

pytestmark = pytest.mark.django_db(transaction=True)

FAILURE = Failure("Lost", "it is gone")


@job(name="tests.told", max_retries=1)
def told(how: str = "well", secret: str = "") -> str:
    """End as it is told."""
    if how == "well":
        return "a result that is nobody's business"
    raise Permanent("it gave up") if how == "dead" else ValueError("it failed")


def events() -> list[tuple[str, str]]:
    """Return what webhooks are to be told, in order: the event, and of which job."""
    return [(one.event, str(one.of_job)) for one in WebhookDelivery.objects.order_by("pk")]


def running(row: Job) -> str:
    """Claim a job, and return its lease."""
    assert verbs.claim(row.pk, lease_id="a" * 32, lease_seconds=60, worker="worker@test")
    return "a" * 32


@pytest.mark.parametrize("how, event", [("well", "job.succeeded"), ("dead", "job.dead"), ("badly", "job.retrying")])
def test_the_end_of_an_attempt_is_told(webhook: Make, valkey: Valkey, how: str, event: str) -> None:
    crm = webhook()
    row = told.delay(how).job
    deliver(row)
    assert events() == [(event, str(row.pk))]
    delivering = WebhookDelivery.objects.get().job
    assert (delivering.task, delivering.state, delivering.args) == ("jobs.webhook", "queued", [crm.pk, event])


def test_what_is_told_names_the_job_and_neither_arguments_nor_result(webhook: Make, valkey: Valkey) -> None:
    webhook()
    row = told.apply_async(("badly", "hunter2"), correlation_id="order-7").job
    deliver(row)
    body = WebhookDelivery.objects.get().body
    said = body["data"]["job"]
    assert body["type"] == "job.retrying"
    assert (said["id"], said["task"], said["state"], said["attempt"]) == (str(row.pk), "tests.told", "retrying", 1)
    assert (said["last_error"], said["correlation_id"]) == ("ValueError: it failed", "order-7")
    assert said["next_attempt_at"] is not None
    assert said["finished_at"] is None
    assert body["data"]["url"].endswith(f"/jobs/{row.pk}/")
    assert "hunter2" not in json.dumps(body)
    assert "result" not in json.dumps(body)


def test_what_tells_of_a_job_is_found_with_it(webhook: Make, valkey: Valkey) -> None:
    webhook()
    webhook(name="other")
    named, other, alone = (told.apply_async(correlation_id=given).job for given in ("order-7", "order-8", None))
    for row in (named, other, alone):
        deliver(row)
    found = WebhookDelivery.objects.values_list("of_job", "job__correlation_id", "job__parent_id")
    assert sorted(found) == sorted(
        2 * [(named.pk, "order-7", None), (other.pk, "order-8", None), (alone.pk, str(alone.pk), None)]
    )


def test_the_correlation_id_of_who_ends_a_job_is_not_that_of_what_tells_of_it(webhook: Make, valkey: Valkey) -> None:
    webhook()
    row = told.apply_async(correlation_id="order-7").job
    with correlated("an-operators-request"):
        assert groups.cancel([row.pk], "no") == 1
    assert WebhookDelivery.objects.get().job.correlation_id == "order-7"


def test_a_job_that_an_operator_cancels_is_told(webhook: Make, valkey: Valkey) -> None:
    webhook()
    one, other = told.delay().job, told.delay().job
    running(other)
    assert groups.cancel([one.pk, other.pk], "no") == 1
    assert events() == [("job.cancelled", str(one.pk))]


def test_a_job_that_gives_up_without_having_ended_its_attempt_is_told(webhook: Make, valkey: Valkey) -> None:
    webhook()
    row = told.delay().job
    assert give_up(row.pk, running(row), Reason.POISON, FAILURE)
    assert events() == [("job.dead", str(row.pk))]


def test_a_job_whose_message_was_parked_is_told(webhook: Make, valkey: Valkey) -> None:
    webhook()
    row = told.delay().job
    ParkedJob(row.pk, FAILURE).write()
    assert events() == [("job.dead", str(row.pk))]


def test_a_job_that_is_rescued_is_told(webhook: Make, valkey: Valkey) -> None:
    webhook()
    row = told.delay().job
    assert verbs.claim(row.pk, lease_id="a" * 32, lease_seconds=-1, worker="gone@test")
    rescue = Rescue(current_app, cast("Engine", Reserving()))
    rescue._in_touch_since, rescue._touched_at = time.monotonic() - 3600, time.monotonic()
    rescue.look()
    assert events() == [("job.retrying", str(row.pk))]


def test_a_success_whose_lease_was_lost_is_told_where_it_counts(webhook: Make, valkey: Valkey) -> None:
    webhook()
    row = told.delay().job
    worker = InThisProcess()
    (claimed,) = worker.claim(row.pk)
    ends = worker.ends(worker.run_calls([[claimed]]))
    assert verbs.retry(row.pk, claimed.job.lease_id, 0, FAILURE, lost_worker=True)
    Recorder(current_app, lambda *_: None).write(ends)
    assert events() == [("job.succeeded", str(row.pk))]


def test_an_end_that_may_have_been_written_before_is_told_once(webhook: Make, valkey: Valkey) -> None:
    webhook()
    row = told.delay().job
    worker = InThisProcess()
    (end,) = worker.ends(worker.run_calls([[one] for one in worker.claim(row.pk)]))
    recorder = Recorder(current_app, lambda *_: None)
    recorder.write([end])
    recorder.write([End(end.job, Succeeded(), report=end.report, again=True)])
    assert events() == [("job.succeeded", str(row.pk))]


def test_each_attempt_and_each_replay_is_an_event_of_its_own(webhook: Make, valkey: Valkey) -> None:
    webhook()
    row = told.delay("badly").job
    for _ in range(2):
        Job.objects.filter(pk=row.pk).update(run_at=timezone.now(), state=State.QUEUED)
        deliver(row)
    groups.requeue([row.pk])
    deliver(row)
    assert [event for event, _ in events()] == ["job.retrying", "job.dead", "job.retrying"]


def test_what_is_rolled_back_is_told_to_nobody(webhook: Make, valkey: Valkey) -> None:
    webhook()
    row = told.delay().job
    with transaction.atomic():
        groups.cancel([row.pk], "no")
        assert len(events()) == 1
        transaction.set_rollback(True)
    assert events() == []
    assert not Job.objects.filter(task="jobs.webhook").exists()


@pytest.mark.parametrize(
    "wants, task, queue, state, expected",
    [
        ({}, "mail.send", "email", "dead", True),
        ({}, "mail.send", "email", "succeeded", False),
        ({"tasks": ("mail.*",)}, "mail.send", "email", "dead", True),
        ({"tasks": ("mail.*",)}, "xmail.send", "email", "dead", False),
        ({"tasks": ("*.send", "other")}, "mail.send", "email", "dead", True),
        ({"tasks": ("mail.send",)}, "mailxsend", "email", "dead", False),
        ({"tasks": ("mail.sen?",)}, "mail.send", "email", "dead", False),
        ({"tasks": ("*",)}, "mail\nsend", "email", "dead", True),
        ({"tasks": ("mail.*.send",)}, "mail.send", "email", "dead", False),
        ({"tasks": ("a*a",)}, "a", "email", "dead", False),
        ({"tasks": ("a**a",)}, "aa", "email", "dead", True),
        ({"tasks": ("*b*a*",)}, "xaxbx", "email", "dead", False),
        ({"tasks": ("*b*a*",)}, "xbxa", "email", "dead", True),
        # As a regular expression it would take for ever.
        ({"tasks": ("*a" * 100,)}, "a" * 199 + "b", "email", "dead", False),
        ({"queue": "email"}, "mail.send", "default", "dead", False),
        ({"queue": "email"}, "mail.send", "email", "dead", True),
        ({}, "jobs.cleanup", "maintenance", "dead", False),
        ({"tasks": ("jobs.*",)}, "jobs.cleanup", "maintenance", "dead", False),
        ({"tasks": ("jobs.cleanup",)}, "jobs.cleanup", "maintenance", "dead", True),
        ({"tasks": ("jobs.webhook",)}, "jobs.webhook", "maintenance", "dead", False),
    ],
)
def test_a_webhook_is_told_of_what_it_wants(
    wants: dict[str, Any], task: str, queue: str, state: str, expected: bool
) -> None:
    one = Subscription(**{"id": 1, "tasks": (), "states": frozenset({"dead"}), "queue": "", **wants})
    assert one.wants(task, queue, state) is expected


def test_a_delivery_that_ends_is_told_to_nobody(webhook: Make, receiver: WebhookServer, valkey: Valkey) -> None:
    webhook()
    row = told.delay().job
    deliver(row)
    deliver(WebhookDelivery.objects.get().job)
    assert len(events()) == 1


@pytest.mark.usefixtures("nobody_subscribed")
def test_while_there_is_no_webhook_a_record_asks_for_nothing_more(valkey: Valkey) -> None:
    deliver(told.delay().job)
    with CaptureQueriesContext(connection) as asked:
        for _ in range(3):
            deliver(told.delay().job)
    assert sum("jobs_webhook" in (query["sql"] or "") for query in asked) <= 1
    assert not WebhookDelivery.objects.exists()


def test_several_webhooks_and_jobs_take_the_same_few_statements(webhook: Make, valkey: Valkey) -> None:
    webhook()
    webhook(name="other")
    worker = InThisProcess()
    rows = [told.delay().job for _ in range(20)]
    ends = worker.ends(worker.run_calls([[one] for one in worker.claim(*(row.pk for row in rows))]))
    with CaptureQueriesContext(connection) as asked:
        Recorder(current_app, lambda *_: None).write(ends)
    assert len(events()) == 40
    assert sum("INTO jobs_webhookdelivery" in (query["sql"] or "") for query in asked) == 1
    assert len(asked) < 20


def test_a_webhook_that_was_switched_is_told_or_not_as_it_stands(webhook: Make, valkey: Valkey) -> None:
    one = webhook()
    webhooks.switch(one, on=False, actor="bob")
    deliver(told.delay().job)
    assert events() == []
    webhooks.switch(one, on=True, actor="bob")
    deliver(told.delay().job)
    assert len(events()) == 1
