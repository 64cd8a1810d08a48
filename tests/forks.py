"""Processes of ours that start in half the time: as forks of one that has loaded what needs none of our settings."""

import atexit
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from django.conf import settings


class Fork:
    """A process that `tests.forkserver` has forked; what `subprocess.Popen` offers, as far as tests ask for it."""

    def __init__(self, answer: int) -> None:
        #: Where the server writes the process's id, and its exit code once it has ended.
        self._answer = answer
        self._poller = select.poll()
        self._poller.register(answer, select.POLLIN)
        self.returncode: int | None = None
        self.pid = self._number()

    def _number(self) -> int:
        line = b""
        while not line.endswith(b"\n"):
            if not (byte := os.read(self._answer, 1)):
                raise ChildProcessError("The server of forks has ended, and its forks with it.")
            line += byte
        return int(line)

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs; negative is the signal that killed it."""
        if self.returncode is None and self._poller.poll(0):
            self._note_end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code. Raises `TimeoutExpired` after `timeout` seconds."""
        if self.returncode is None:
            if not self._poller.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(f"fork {self.pid}", timeout or 0)
            self._note_end()
        assert self.returncode is not None
        return self.returncode

    def _note_end(self) -> None:
        self.returncode = self._number()
        os.close(self._answer)

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


class _Server:
    """The process that forks, started when it is first asked. It ends when this one does, and its forks with it."""

    def __init__(self) -> None:
        self._link: socket.socket | None = None

    def fork(self, output: int, errors: int, **request: object) -> Fork:
        if self._link is None:
            self._link = self._start()
        told, answer = os.pipe()
        line = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(self._link, [line], [output, errors, answer])
        self._link.sendall(line[sent:])
        os.close(answer)
        return Fork(told)

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.forkserver", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                cwd=settings.BASE_DIR,
                pass_fds=[theirs.fileno()],
                # Ctrl-C is for the tests: they say when their processes end.
                start_new_session=True,
            )
        atexit.register(process.wait)
        atexit.register(ours.close)
        return ours


_server = _Server()


def python(module: str, *arguments: str, log: Path, environment: Mapping[str, str]) -> Fork:
    """Start `python -m module …` in the project's directory and in a group of its own, its output appended to `log`.

    Its environment is ours with `environment` above it. What Python itself reads at its start (`PYTHONPATH`) comes too
    late for it: that needs `spawn`.
    """
    with log.open("ab") as output:
        return _begin(["-m", module, *arguments], {**os.environ, **environment}, output, output)


def run(*arguments: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run `python arguments…` to its end in the project's directory, and return what it printed.

    It has no other variables than `environment`, and no input.
    """
    with TemporaryFile() as output, TemporaryFile() as errors:
        code = _begin(arguments, environment, output, errors).wait()
        said = []
        for file in (output, errors):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess(arguments, code, *said)


def _begin(arguments: Sequence[str], environment: Mapping[str, str], output: IO[bytes], errors: IO[bytes]) -> Fork:
    return _server.fork(
        output.fileno(),
        errors.fileno(),
        arguments=list(arguments),
        environment=dict(environment),
        directory=str(settings.BASE_DIR),
    )
