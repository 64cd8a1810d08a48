"""A job's message is one that any Celery worker understands: Celery's own, with two headers more."""

import json
import os
from typing import Any

import pytest
from celery import chain, current_app
from celery.app.amqp import task_message

from jobs.enqueue.message import CORRELATION_HEADER, LEDGER_HEADER
from jobs.ledger.attempts import Failure
from jobs.ledger.claims import claim_many
from jobs.models import Job
from jobs.worker.deliveries import new_lease
from jobs.worker.requests import request_of
from jobs.worker.reserved import ReservedJob
from tests.jobs.delivery import message_of
from tests.tasks_app import tasks

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

#: Where ours differs on purpose: arguments are not shown, nothing is stored, and no message waits or expires.
OURS = {"argsrepr", "kwargsrepr", "ignore_result", "origin", LEDGER_HEADER, CORRELATION_HEADER}


def as_celery(job: Job, **options: Any) -> task_message:
    """Return the message that Celery itself would build."""
    message: task_message = current_app.amqp.as_task_v2(
        str(job.id), job.task, tuple(job.args), job.kwargs, root_id=str(job.id), **options
    )
    return message


def test_the_body_is_what_celery_writes() -> None:
    job = tasks.step.delay(None, name="ü").job
    assert json.loads(message_of(job).body) == json.loads(json.dumps(as_celery(job).body))


def test_the_headers_are_celerys() -> None:
    job = tasks.note.apply_async(["x"], time_limit=9, soft_time_limit=8, shadow="shown").job
    ours = message_of(job).headers
    theirs = as_celery(job, time_limit=9, soft_time_limit=8, shadow="shown").headers
    assert {name: ours[name] for name in ours.keys() - OURS} == {name: theirs[name] for name in theirs.keys() - OURS}


def test_what_canvas_embeds_is_what_celery_embeds() -> None:
    link, error = tasks.note.si("link"), tasks.note.si("error")
    chain(tasks.step.s(None, "a").set(link=link, link_error=error), tasks.step.s("b"), tasks.step.s("c"))()
    job = Job.objects.get()
    embedded = json.loads(message_of(job).body)[2]
    assert [signature["task"] for signature in embedded["callbacks"]] == [tasks.note.name]
    assert [signature["kwargs"] or signature["args"] for signature in embedded["errbacks"]] == [["error"]]
    # The first link of the rest is the last in the list.
    assert [signature["args"] for signature in embedded["chain"]] == [["c"], ["b"]]


def test_a_worker_makes_the_tasks_request_of_the_row() -> None:
    job = tasks.note.apply_async(kwargs={"effect": "x"}, headers={"x-tenant": "a"}, correlation_id="request-1").job
    (claimed,) = claim_many({job.pk: "a" * 32}, lease_seconds=60, worker="worker@test").claimed
    request = request_of(tasks.note, claimed, [], {"effect": "x"}, "worker@test", os.getpid())
    assert (request.id, request.task, request.args, request.kwargs) == (str(job.id), job.task, [], {"effect": "x"})
    assert (request.eta, request.expires, request.ignore_result, request.called_directly) == (None, None, True, False)
    assert (request.get("x-tenant"), request.headers["x-tenant"]) == ("a", "a")
    assert (request.job_id, request.job_attempt, request.lease_id) == (job.pk, 1, "a" * 32)
    assert (request.job_correlation_id, request.correlation_id, request.retries) == ("request-1", str(job.pk), 0)
    assert request.delivery_info["routing_key"] == job.queue
    assert (request.time_limit, request.soft_time_limit) == (tasks.note.time_limit, None)


def test_arguments_are_nowhere_but_in_the_body() -> None:
    job = tasks.note.delay("s3cret").job
    assert "s3cret" not in json.dumps(message_of(job).headers)
    (claimed,) = claim_many({job.pk: "a" * 32}, lease_seconds=60, worker="worker@test").claimed
    reserved = ReservedJob(claimed, tasks.note, "worker@test")
    assert "s3cret" not in reserved.name + str(reserved) + repr(reserved)


def test_every_lease_is_a_new_one() -> None:
    leases = {new_lease() for _ in range(3)}
    assert len(leases) == 3
    assert all(len(lease) == 32 for lease in leases)


def test_a_caller_cannot_take_the_engines_own_headers() -> None:
    job = tasks.note.apply_async(["x"], headers={LEDGER_HEADER: "", CORRELATION_HEADER: "forged", "id": "other"}).job
    headers = message_of(job).headers
    assert headers[LEDGER_HEADER] == 1
    assert headers[CORRELATION_HEADER] == str(job.id)
    assert headers["id"] == str(job.id)


def test_a_failure_is_summed_up_on_one_line() -> None:
    assert Failure("ValueError", "").summary == "ValueError"
    assert Failure("ValueError", "a\nb").summary.startswith("ValueError: a")
