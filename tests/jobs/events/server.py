"""A real web server, and clients that listen to it over real sockets."""

import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
from django.conf import settings
from django.db import connection

from tests.servers import free_port
from tests.servers.processes import kill_group, spawn, tail
from tests.waiting import wait_for

T = TypeVar("T")


class Web:
    """`python -m project.web`, on a database of the test's own."""

    def __init__(self, directory: Path, environment: Mapping[str, str], *, descriptors: int | None = None) -> None:
        self.port = free_port()
        self.log = directory / "web.log"
        command = [sys.executable, "-m", "project.web", "--port", str(self.port)]
        if descriptors:
            command = ["/bin/sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
        self.process = spawn(command, log=self.log, environment=environment, directory=settings.BASE_DIR)

    def wait_until_ready(self) -> None:
        """Wait until it answers."""
        wait_for(self._answers, 30, what="the web server to answer")

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def memory(self) -> int:
        """Its resident memory, in bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def report(self) -> tuple[str, str]:
        """Tell of it in a failed test's report."""
        return "web", tail(self.log, 100)

    def stop(self) -> None:
        """Kill it."""
        kill_group(self.process)


@dataclass
class Client:
    """A client that reads its stream line by line, and notes when each job's state came."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    came: dict[tuple[str, str], float] = field(default_factory=dict)
    ended_at: float | None = None

    @classmethod
    async def open(cls, port: int, token: str, query: str = "", *, window: int = 0) -> "Client":
        """Open a stream; `window` makes its receive buffer small."""
        sock = socket.socket()
        if window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        sock.settimeout(0)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=2**16)
        # By HTTP/1.0, which knows no chunks: what comes is the stream as it is.
        head = f"GET /api/events?{query} HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
        writer.write(head.encode())
        status = await asyncio.wait_for(reader.readline(), 30)
        assert b" 200 " in status, status
        while b"event: listening" not in await asyncio.wait_for(reader.readline(), 30):
            pass
        return cls(reader, writer)

    async def listen(self) -> None:
        """Read until the stream ends."""
        while line := await self.reader.readline():
            if line.startswith(b'data: {"id"'):
                job: dict[str, Any] = json.loads(line[6:])
                self.came[job["id"], job["state"]] = time.time()
        self.ended_at = time.time()

    async def told(self, job_id: object, state: str, seconds: float = 10) -> float:
        """Wait for a job's state, and return when it came."""
        deadline = time.time() + seconds
        while (str(job_id), state) not in self.came:
            assert time.time() < deadline, f"{state} of {job_id} was not told within {seconds} s"
            await asyncio.sleep(0.005)
        return self.came[str(job_id), state]


async def write(act: Callable[..., T], *arguments: Any) -> T:
    """Do something with the database, in a thread: a loop has none of its own."""

    def closed() -> T:
        try:
            return act(*arguments)
        finally:
            connection.close()

    return await asyncio.to_thread(closed)


class Audience:
    """The clients of one test; all leave at its end."""

    def __init__(self, web: Web, token: str) -> None:
        self._web, self._token = web, token
        self._clients: list[Client] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, *, reads: bool = True, window: int = 0) -> Client:
        """Open a stream, and read it."""
        client = await Client.open(self._web.port, self._token, window=window)
        self._clients.append(client)
        if reads:
            self._tasks.append(asyncio.create_task(client.listen()))
        return client

    async def ended(self, seconds: float) -> None:
        """Wait until every stream has ended."""
        await asyncio.wait_for(asyncio.gather(*self._tasks), seconds)

    async def leave(self) -> None:
        """Close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients:
            client.writer.close()
        await asyncio.gather(*(client.writer.wait_closed() for client in self._clients), return_exceptions=True)
