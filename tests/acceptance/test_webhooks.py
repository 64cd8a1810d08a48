"""Webhooks whose workers are killed: each end of a job that is in the ledger is told, as one event."""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from ipaddress import ip_network

from pytest_django.fixtures import Settings

from jobs.models import Job, WebhookDelivery
from jobs.operations import webhooks
from tests.acceptance.engine import IMPATIENT, QUICK, some_houses
from tests.acceptance.worker import Worker
from tests.servers import WebhookServer
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import wait_for

JOBS = 60


def told(receiver: WebhookServer) -> set[str]:
    """Return the jobs of which the receiver was told."""
    return {json.loads(request.body)["data"]["job"]["id"] for request in list(receiver.received)}


def has_heard(receiver: WebhookServer, requests: int) -> bool:
    return len(receiver.received) >= requests


@some_houses
def test_each_end_is_told_as_one_event_though_workers_are_killed_and_the_receiver_fails(
    start_worker: Callable[..., Worker], effects: Effects, settings: Settings, pool: str
) -> None:
    environment = {**IMPATIENT, "JOBS_WEBHOOK_NETWORKS": "127.0.0.0/8"}
    settings.JOBS_WEBHOOK_NETWORKS = (ip_network("127.0.0.0/8"),)
    with WebhookServer() as receiver:
        given = {"name": "crm", "url": receiver.url, "states": ["succeeded"], "tasks": [tasks.note.name]}
        webhooks.create(given, actor="bob")
        receiver.answers.extend([(500, {}), None] * 5)
        ids = {result.id for result in tasks.note.delay_many([f"note {number}"] for number in range(JOBS))}
        for number in range(2):
            worker = start_worker(options=QUICK, pool=pool, environment=environment)
            wait_for(partial(has_heard, receiver, 5 + 15 * number), 60, what="the receiver to hear")
            worker.kill()
        start_worker(options=QUICK, pool=pool, environment=environment)
        wait_for(lambda: told(receiver) == ids, 90, what="all to be told")
        wait_for(lambda: not Job.objects.exclude(state="succeeded").exists(), 60, what="all to be delivered")
    events = Counter(str(of_job) for of_job in WebhookDelivery.objects.values_list("of_job", flat=True))
    assert events == dict.fromkeys(ids, 1)
    sent = {request.headers["webhook-id"] for request in receiver.received}
    assert sent == {str(pk) for pk in WebhookDelivery.objects.values_list("job_id", flat=True)}
