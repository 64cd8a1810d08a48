"""How long a receiver may take, whatever it sends."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_network

import pytest
from pytest_django.fixtures import Settings

from jobs.webhooks.client import post
from jobs.webhooks.errors import WebhookError


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
