"""Whose address the web process takes for a visitor's."""

from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.jobs.events.server import Web
from tests.servers import Valkey
from tests.waiting import wait_for


@pytest.mark.parametrize(
    "trusted,visitor",
    [("", "203.0.113.9"), ("127.0.0.0/8,198.51.100.0/24", "203.0.113.9"), ("10.0.0.0/8", "127.0.0.1")],
)
def test_a_visitor_is_who_the_trusted_proxies_say(tmp_path: Path, valkey: Valkey, trusted: str, visitor: str) -> None:
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}",
        "BROKER_URL": valkey.url,
        "FORWARDED_ALLOW_IPS": trusted,
    }
    web = Web(tmp_path, environment)
    try:
        web.wait_until_ready()
        through = "192.0.2.1, 203.0.113.9" + (", 198.51.100.7" if "198" in trusted else "")
        connection = HTTPConnection("127.0.0.1", web.port, timeout=20)
        connection.request("GET", "/livez?this", headers={"X-Forwarded-For": through})
        assert connection.getresponse().status == 200
        connection.close()
        line = wait_for(lambda: next((line for line in web.report()[1].splitlines() if "/livez?this" in line), ""))
        assert f" {visitor}:" in line
    finally:
        web.stop()
