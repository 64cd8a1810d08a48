"""What a real web server writes of its requests."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from jobs.models import Job
from jobs.operations import tokens
from tests.conftest import REPORTS
from tests.databases import Database
from tests.jobs.events.server import Web
from tests.servers import Valkey
from tests.waiting import wait_for

pytestmark = [pytest.mark.parametrize("database", ["postgres"], indirect=True), pytest.mark.postgres_only]


@pytest.fixture
def web(request: pytest.FixtureRequest, tmp_path: Path, database: Database, valkey: Valkey) -> Iterator[Web]:
    """A running web server that logs as in production."""
    environment = {"BROKER_URL": valkey.url, "REDIS_URL": valkey.url, "LOG_FORMAT": "json"}
    web = Web(tmp_path, {**environment, "DATABASE_URL": database.url})
    request.node.stash.setdefault(REPORTS, []).append(web.report)
    web.wait_until_ready()
    yield web
    web.stop()


def lines(web: Web, logger: str) -> list[dict[str, Any]]:
    parsed = [json.loads(line) for line in web.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in parsed if line["logger"] == logger]


def test_the_servers_line_about_a_request_has_the_id_of_its_job(web: Web) -> None:
    token = tokens.create("test", ["submit"], by="test")[1]
    request = Request(
        f"http://127.0.0.1:{web.port}/api/jobs",
        json.dumps({"task": "tests.tasks_app.tasks.public_note", "kwargs": {"effect": "x"}}).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "X-Request-ID": "order-4711"},
    )
    with urlopen(request, timeout=20) as answer:  # noqa: S310
        assert answer.headers["X-Request-ID"] == "order-4711"
        job = Job.objects.get(pk=json.load(answer)["id"])
    (line,) = wait_for(lambda: [one for one in lines(web, "uvicorn.access") if "/api/jobs" in one["message"]])
    assert line["correlation"] == job.correlation_id == "order-4711"


def test_a_request_without_an_id_gets_one(web: Web) -> None:
    with urlopen(f"http://127.0.0.1:{web.port}/livez", timeout=20) as answer:
        given = answer.headers["X-Request-ID"]
    (line,) = wait_for(lambda: lines(web, "uvicorn.access"))
    assert line["correlation"] == given
    assert len(given) == 32
