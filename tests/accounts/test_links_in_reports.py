"""What is told of a request that failed does not let its readers into accounts: in the log, at Sentry, in a trace."""

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from accounts.links import EMAIL_CHANGE, PASSWORD_RESET, VERIFICATION
from accounts.models import EmailChange, User
from tests.acceptance.collector import Collector
from tests.conftest import REPORTS
from tests.jobs.events.server import Web
from tests.servers import Valkey
from tests.waiting import wait_for


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def web(request: pytest.FixtureRequest, tmp_path: Path, valkey: Valkey, collector: Collector) -> Iterator[Web]:
    """A site whose database lacks its tables, so that every page that asks it fails."""
    web = Web(
        tmp_path,
        {
            "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}",
            "BROKER_URL": valkey.url,
            "SENTRY_DSN": f"http://key@{collector.address}/1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        },
    )
    request.node.stash.setdefault(REPORTS, []).append(web.report)
    web.wait_until_ready()
    yield web
    web.stop()


def links() -> list[str]:
    user = User(email="alice@example.com", password="x")
    change = EmailChange(user=user, old_email=user.email, new_email="alice@new.example")
    urls = [PASSWORD_RESET.url(user), VERIFICATION.url(user), EMAIL_CHANGE.url(change)]
    return [url.removeprefix("http://testserver") for url in urls]


def reported(collector: Collector) -> list[dict[str, Any]]:
    """Return the requests that Sentry was told of."""
    return [event["request"] for event in collector.items("event") if "request" in event]


def test_no_link_is_in_what_is_told_of_a_request_that_failed(web: Web, collector: Collector) -> None:
    for path in links():
        connection = HTTPConnection("127.0.0.1", web.port, timeout=20)
        headers = {
            "Referer": f"http://localhost{path}",
            "Authorization": "Bearer nst_a-token-of-the-api-which-is-long",
            "X-CSRFToken": "a-token-of-a-form-which-is-long",
            "Cookie": "sessionid=a-session-which-is-long",
        }
        connection.request("GET", f"{path}?next={path}", headers=headers)
        assert connection.getresponse().status == 500
        connection.close()
    wait_for(lambda: len(reported(collector)) == 3, 20)
    wait_for(lambda: len(collector.spans()) >= 3, 20)
    log = web.log.read_text()
    assert "/password-reset/…/?next=/password-reset/…/" in log
    for told in (log, *(body.decode(errors="replace") for _, body in collector.requests)):
        for path in links():
            assert path.strip("/").rpartition("/")[2] not in told
        assert "which-is-long" not in told
    first = reported(collector)[0]
    assert first["url"].endswith("/password-reset/…/")
    assert first["query_string"] == "next=/password-reset/…/"
