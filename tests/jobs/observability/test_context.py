"""One id, and one trace, from a request to its jobs and their children."""

import asyncio
import io
import json
import logging
import re

import pytest
from django.test import AsyncClient, Client

from jobs.core.correlation import correlated
from jobs.models import Job
from jobs.operations import tokens
from project.logs import JobContext, JsonFormatter
from tests.jobs.delivery import deliver
from tests.servers import Valkey
from tests.tasks_app.effects import VARIABLE
from tests.tasks_app.tasks import note, spawning

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
BODY = {"task": "tests.tasks_app.tasks.public_note", "kwargs": {"effect": "x"}}


@pytest.fixture
def token(valkey: Valkey) -> str:
    return tokens.create("test", ["submit"], by="test")[1]


def submit(token: str, **headers: str) -> tuple[Job, str]:
    """Enqueue a job in a request. Returns it, and the answer's X-Request-ID."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = Client().post(
        "/api/jobs", BODY, content_type="application/json", headers={"Authorization": f"Bearer {token}", **named}
    )
    return Job.objects.get(pk=response.json()["id"]), response["X-Request-ID"]


def trace_of(job: Job) -> str:
    """Return the trace that a job carries."""
    assert job.options is not None
    return str(job.options["headers"]["traceparent"].split("-")[1])


def test_a_job_has_the_id_of_its_request(token: str) -> None:
    job, answered = submit(token, X_Request_ID="order-4711")
    assert job.correlation_id == answered == "order-4711"


@pytest.mark.parametrize("given", ["", "x" * 65, "with space", 'inject"ed', "zwölf"])
def test_an_id_that_cannot_be_used_is_replaced(token: str, given: str) -> None:
    job, answered = submit(token, X_Request_ID=given)
    assert job.correlation_id == answered
    assert re.fullmatch(r"[0-9a-f]{32}", answered)


def test_what_a_client_says_of_a_job_comes_first(token: str) -> None:
    response = Client().post(
        "/api/jobs",
        {**BODY, "correlation_id": "own"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}", "X-Request-ID": "request"},
    )
    assert response.json()["correlation_id"] == "own"


def test_an_asynchronous_page_has_an_id_too() -> None:
    async def ask() -> str:
        response = await AsyncClient().get("/livez", headers={"X-Request-ID": "probe-1"})
        return str(response["X-Request-ID"])

    assert asyncio.run(ask()) == "probe-1"


def test_the_id_goes_on_to_the_children(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv(VARIABLE, f"{tmp_path}/effects")
    with correlated("import-1"):
        parent = spawning.delay("x", fail=False).job
    deliver(parent)
    child = Job.objects.get(parent_id=parent.pk)
    assert (parent.correlation_id, child.correlation_id) == ("import-1", "import-1")


def test_outside_of_a_request_a_job_begins_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv(VARIABLE, f"{tmp_path}/effects")
    parent = spawning.delay("x", fail=False).job
    assert parent.correlation_id == ""
    deliver(parent)
    assert Job.objects.get(parent_id=parent.pk).correlation_id == str(parent.pk)


def test_a_trace_from_outside_is_carried_into_the_job(token: str) -> None:
    job, _ = submit(token, traceparent=TRACEPARENT)
    assert trace_of(job) == TRACE


def test_without_a_trace_nothing_is_carried(token: str) -> None:
    job, _ = submit(token)
    assert job.options is None


def test_a_trace_goes_on_to_the_children(token: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv(VARIABLE, f"{tmp_path}/effects")
    parent = spawning.apply_async(("x", False), headers={"traceparent": TRACEPARENT}).job
    deliver(parent)
    child = Job.objects.get(parent_id=parent.pk)
    assert trace_of(child) == TRACE


@pytest.mark.parametrize("words, told", [("in words already", "in words already"), (None, "ValueError: odd")])
def test_an_error_that_is_in_words_already_is_not_put_into_words_again(words: str | None, told: str) -> None:
    error = ValueError("odd")
    record = logging.makeLogRecord({"exc_info": (ValueError, error, None), "exc_text": words})
    assert json.loads(JsonFormatter().format(record))["error"] == told


def test_a_line_of_the_log_names_the_request() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(JobContext())
    logger = logging.getLogger("tests.observability")
    logger.addHandler(handler)
    try:
        with correlated("order-4711"):
            logger.warning("something happened")
            note.delay("x")
    finally:
        logger.removeHandler(handler)
    assert json.loads(stream.getvalue())["correlation"] == "order-4711"
