"""The web process keeps connections and bodies within bounds, whoever sends them."""

import asyncio
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from project.web.bodies import ANONYMOUS_BYTES, bounded_bodies
from project.web.protocol import HEAD_SECONDS
from tests.conftest import REPORTS
from tests.jobs.events.server import Web
from tests.servers import Valkey
from tests.waiting import wait_for

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def web(request: pytest.FixtureRequest, tmp_path: Path, valkey: Valkey) -> Iterator[Web]:
    """A web server that may have no more than 256 files and connections open."""
    environment = {"DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}", "BROKER_URL": valkey.url}
    web = Web(tmp_path, environment, descriptors=256)
    request.node.stash.setdefault(REPORTS, []).append(web.report)
    web.wait_until_ready()
    yield web
    web.stop()


def connected(web: Web) -> socket.socket:
    return socket.create_connection(("127.0.0.1", web.port), timeout=20)


def answer_to(web: Web, path: str, headers: Mapping[str, str], pieces: Any) -> tuple[int, str, str]:
    """Send a request whose body may never end, and return status, content type and text of the answer."""
    connection = HTTPConnection("127.0.0.1", web.port, timeout=20)
    try:
        connection.putrequest("POST", path)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        try:
            for piece in pieces:
                connection.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            # It does not listen any more; its answer may be there.
            pass
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read().decode()
    finally:
        connection.close()


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 65_536):
        yield b"10000\r\n" + b"a" * 65_536 + b"\r\n"
    yield b"0\r\n\r\n"


def test_a_body_that_is_announced_too_large_is_refused_before_any_of_it_comes(web: Web) -> None:
    announced = {"Content-Length": str(settings.REQUEST_MAX_BYTES + 1), "Cookie": "sessionid=x"}
    status, _, text = answer_to(web, "/log-in/", announced | FORM, [])
    assert status == 413
    assert "That was too large" in text
    status, kind, text = answer_to(web, "/api/jobs", announced, [])
    assert (status, kind) == (413, "application/problem+json")
    assert f"{settings.REQUEST_MAX_BYTES:,} bytes" in json.loads(text)["detail"]


def test_a_body_of_unknown_length_is_counted(web: Web) -> None:
    chunked = {"Transfer-Encoding": "chunked", "Cookie": "sessionid=x"} | FORM
    assert answer_to(web, "/log-in/", chunked, chunks(settings.REQUEST_MAX_BYTES * 2))[0] == 413
    assert answer_to(web, "/log-in/", chunked, chunks(settings.REQUEST_MAX_BYTES // 2))[0] == 403


def test_who_shows_no_credentials_may_send_a_form_and_no_more(web: Web) -> None:
    assert answer_to(web, "/log-in/", {"Content-Length": str(ANONYMOUS_BYTES + 1)} | FORM, [])[0] == 413
    assert answer_to(web, "/log-in/", {"Transfer-Encoding": "chunked"} | FORM, chunks(ANONYMOUS_BYTES * 2))[0] == 413
    assert answer_to(web, "/log-in/", {"Content-Length": "3"} | FORM, [b"a=b"])[0] == 403


def test_a_client_is_not_told_to_send_what_is_refused(web: Web) -> None:
    head = b"POST /log-in/ HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    with connected(web) as client:
        client.sendall(head % (ANONYMOUS_BYTES + 1))
        assert client.recv(12) == b"HTTP/1.1 413"
    with connected(web) as client:
        client.sendall(head % 3)
        assert client.recv(12) == b"HTTP/1.1 100"


def test_half_open_requests_do_not_stop_the_site(web: Web) -> None:
    second = HTTPConnection("127.0.0.1", web.port, timeout=HEAD_SECONDS + 20)
    second.request("GET", "/livez")
    assert second.getresponse().read()
    half_open = [second.sock, *(connected(web) for _ in range(300))]
    for connection in half_open:
        with suppress(ConnectionError):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: local")
    wait_for(lambda: is_well(web), HEAD_SECONDS + 20, what="the site to answer again")
    assert all(is_closed(connection) for connection in half_open)
    for connection in half_open:
        connection.close()


def is_well(web: Web) -> bool:
    connection = HTTPConnection("127.0.0.1", web.port, timeout=5)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def is_closed(connection: socket.socket) -> bool:
    """Return whether the other side ends a connection, within its time-out, without a word."""
    try:
        return not connection.recv(1)
    except ConnectionResetError:
        return True


class Client:
    """What an ASGI server hears of a client: these messages, then nothing."""

    def __init__(self, *messages: Mapping[str, Any]) -> None:
        self._messages = list(messages)

    async def receive(self) -> Mapping[str, Any]:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)


def read(client: Client, scope: dict[str, Any], **bounds: Any) -> bytes:
    """Return the body as an application reads it."""
    body = bytearray()

    async def application(_: Any, receive: Any, __: Any) -> None:
        while (message := await receive())["type"] == "http.request":
            body.extend(message["body"])
            if not message["more_body"]:
                return

    async def send(_: Mapping[str, Any]) -> None: ...

    async def run() -> None:
        await bounded_bodies(application, **bounds)(scope, client.receive, send)

    asyncio.run(run())
    return bytes(body)


def part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_whole_body_passes_as_it_is() -> None:
    scope: dict[str, Any] = {"type": "http", "headers": []}
    assert read(Client(part(b"a"), part(b"b", more=False)), scope, most_bytes=2) == b"ab"
    assert set(scope) == {"type", "headers"}


@pytest.mark.parametrize("bounds", [{"piece_seconds": 0.05}, {"body_seconds": 0.05}], ids=str)
def test_a_body_that_stalls_ends_in_time(bounds: dict[str, float]) -> None:
    scope: dict[str, Any] = {"type": "http", "headers": []}
    assert read(Client(part(b"a")), scope, most_bytes=9, **bounds) == b"a"
    assert scope["nightshift.refusal"].status == 408


@pytest.mark.parametrize("length", [b"-1", b"1e9", b"", "²".encode("latin-1"), b"9" * 5000])
def test_an_odd_length_is_no_length(length: bytes) -> None:
    scope: dict[str, Any] = {"type": "http", "headers": [(b"content-length", length)]}
    assert len(read(Client(part(b"a" * 9), part(b"b", more=False)), scope, most_bytes=4)) <= 4
