"""A client that does not read its answer holds a connection for a time; one that reads slowly gets all of it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from project.web.protocol import BoundedProtocol
from tests.servers import free_port
from tests.waiting import wait_for

#: More than any socket's buffers hold.
SIZE = 12_000_000
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Hasty(BoundedProtocol):
    """The protocol with shorter time limits."""

    head_seconds = 1.0
    send_seconds = 3.0


class Running:
    """A web server in a thread."""

    def __init__(self, port: int) -> None:
        config = uvicorn.Config(answer, port=port, http=Hasty, ws="none", log_config=None, timeout_keep_alive=60)
        self.server = uvicorn.Server(config)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self.server.server_state.connections)


async def answer(scope: Any, _: Any, send: Any) -> None:
    """Answer in pieces of 100 kB, or all at once."""
    size = 100_000 if scope["path"] == "/pieces" else SIZE
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % SIZE)]})
    for start in range(0, SIZE, size):
        await send({"type": "http.response.body", "body": b"a" * size, "more_body": start + size < SIZE})


@contextmanager
def a_web_server() -> Iterator[tuple[int, Running]]:
    port = free_port()
    running = Running(port)
    thread = threading.Thread(target=running.server.run)
    thread.start()
    try:
        wait_for(lambda: running.server.started, 10)
        yield port, running
    finally:
        running.server.should_exit = running.server.force_exit = True
        thread.join(20)


def asked(port: int, path: bytes = b"/", times: int = 1) -> socket.socket:
    """Ask for an answer that is read by nobody so far."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(("127.0.0.1", port))
    client.sendall(ASK.replace(b" / ", b" " + path + b" ") * times)
    return client


def test_clients_that_read_nothing_are_let_go() -> None:
    with a_web_server() as (port, web):
        clients = [asked(port), asked(port, b"/pieces"), asked(port, times=20), asked(port, b"/pieces", times=20)]
        wait_for(lambda: web.connections == len(clients), 10)
        wait_for(lambda: web.connections == 0, 20, what="the server to let them go")
        for client in clients:
            client.close()


def test_a_client_that_reads_slowly_gets_all_of_it() -> None:
    with a_web_server() as (port, _):
        for path in (b"/", b"/pieces"):
            client, read, pause = asked(port, path), 0, threading.Event()
            while read < SIZE:
                piece = client.recv(SIZE // 12)
                assert piece, f"cut off after {read:,} of {SIZE:,} bytes"
                read += len(piece)
                # A slow line: it takes longer than the limits for the whole, never for a part.
                pause.wait(len(piece) * 4.0 / SIZE)
            client.close()
