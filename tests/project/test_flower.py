"""Flower, started as the Procfile does: no address tells anything to who has not logged in."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from flower import urls

from tests.brokers.flower import Flower
from tests.servers import Valkey
from tests.tasks_app import tasks

#: What everybody may have: the files of its pages, a probe, and where one would log in with OAuth.
OPEN = {"/static/x", "/healthcheck"}
LOGIN = "admin:hush"


def addresses() -> Iterator[str]:
    """Return an address for each of Flower's routes, and some that it does not have."""
    for route in urls.handlers:
        pattern = route[0] if isinstance(route, tuple) else route.regex.pattern
        yield re.sub(r"\(.[+*]\)", "x", pattern).replace("/?", "").replace(".*", "/nowhere").rstrip("$")


def status(port: int, path: str, method: str, login: str = "") -> tuple[int, str]:
    """Ask, and return the status and the text of the answer."""
    digest = base64.b64encode(login.encode()).decode()
    headers = {"Authorization": f"Basic {digest}"} if login else {}
    request = Request(f"http://127.0.0.1:{port}{path}", headers=headers, method=method)
    try:
        with urlopen(request, timeout=20) as answer:  # noqa: S310 (it is ours)
            return answer.status, answer.read().decode()
    except HTTPError as exc:
        return exc.code, exc.read().decode()


@pytest.mark.timeout(120)
def test_every_address_asks_for_the_login(tmp_path: Path, valkey: Valkey) -> None:
    environment = {"BROKER_URL": valkey.url, "REDIS_URL": valkey.url, "FLOWER_BASIC_AUTH": LOGIN}
    paths = {path for path in addresses() if path != "/login"}
    assert {"/metrics", "/tasks", "/api/workers", "/nowhere"} <= paths
    with Flower(tmp_path, environment) as flower:
        for login in ("", "admin:wrong"):
            for method in ("GET", "POST", "OPTIONS", "HEAD"):
                answers = {path: status(flower.port, path, method, login) for path in sorted(paths - OPEN)}
                assert {path: code for path, (code, _) in answers.items() if code != 401} == {}
                assert not any(tasks.note.name in text for _, text in answers.values())
        code, text = status(flower.port, "/metrics", "GET", LOGIN)
        assert (code, "flower_worker" in text or "python_info" in text) == (200, True)
        assert status(flower.port, "/tasks", "GET", LOGIN)[0] == 200
        assert status(flower.port, "/healthcheck", "GET") == (200, "OK")
        assert status(flower.port, "/static/css/flower.css", "GET")[0] == 200
        assert status(flower.port, "/login", "GET")[0] in {302, 404}
