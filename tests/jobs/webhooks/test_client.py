"""How long a receiver may take, whatever it sends, and where a request goes, whatever a name leads to meanwhile."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from jobs.webhooks.client import post
from jobs.webhooks.errors import WebhookError
from tests.servers import WebhookServer


@contextmanager
def dripping(before: bytes) -> Iterator[int]:
    """Answer one connection with this, and then a byte every now and then for ever; yields the port."""
    is_over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(before)
                while not is_over.wait(0.05):
                    connection.sendall(b"x")

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        is_over.set()
        thread.join(10)


@pytest.mark.parametrize(
    "scheme, before",
    [("http", b"HTTP/1.1 200 OK\r\nX-Slow: "), ("http", b"HTTP/1.1 "), ("https", b"\x16\x03\x03\x40\x00")],
)
@pytest.mark.timeout(60)
def test_a_receiver_that_sends_a_byte_now_and_then_is_hung_up_on(
    settings: Settings, scheme: str, before: bytes
) -> None:
    settings.JOBS_WEBHOOK_NETWORKS = (ip_network("127.0.0.0/8"),)
    with (
        dripping(before) as port,
        pytest.raises(WebhookError, match=r"127\.0\.0\.1 did not answer within 0\.5 s") as caught,
    ):
        post(f"{scheme}://127.0.0.1:{port}/s3cr3t", b"{}", {}, most_seconds=0.5)
    assert not caught.value.permanent
    assert "s3cr3t" not in str(caught.value)


class Rebinding:
    """A resolver that its owner has answer otherwise each time: with the first addresses, then with the next ones.

    It stands in the place of the system's, and leaves all other names to that.
    """

    def __init__(self, name: str, *answers: list[str]) -> None:
        self._name, self._answers = name, list(answers)
        self._system = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != self._name:
            return self._system(host, port, *args, **kwargs)
        addresses = self._answers.pop(0)
        return [entry for address in addresses for entry in self._system(address, port, *args, **kwargs)]


@contextmanager
def listening(address: str, port: int) -> Iterator[socket.socket]:
    """Listen, and let nobody in."""
    with socket.create_server((address, port)) as server:
        server.settimeout(0)
        yield server


@pytest.mark.parametrize(
    "answers", [[["127.0.0.1"], ["127.0.0.2"]], [["127.0.0.2"], ["127.0.0.1"]], [["127.0.0.1", "127.0.0.2"]]]
)
def test_a_name_that_answers_otherwise_a_moment_later_leads_to_no_address_that_is_not_allowed(
    settings: Settings, receiver: WebhookServer, monkeypatch: pytest.MonkeyPatch, answers: list[list[str]]
) -> None:
    settings.JOBS_WEBHOOK_NETWORKS = (ip_network("127.0.0.1/32"),)
    monkeypatch.setattr(socket, "getaddrinfo", Rebinding("hooks.example.com", *answers))
    address = f"http://hooks.example.com:{receiver.port}/"
    with listening("127.0.0.2", receiver.port) as private:
        if answers[0] == ["127.0.0.1"]:
            assert post(address, b"{}", {}) == 200
        else:
            with pytest.raises(WebhookError, match=r"hooks\.example\.com \(127\.0\.0\.2\) is no public address"):
                post(address, b"{}", {})
        with pytest.raises(BlockingIOError):
            private.accept()
    hosts = [request.headers["host"] for request in receiver.received]
    assert hosts == ([f"hooks.example.com:{receiver.port}"] if answers[0] == ["127.0.0.1"] else [])
