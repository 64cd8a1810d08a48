"""What all servers of the tests have in common: their life as a process."""

import signal
import subprocess
from pathlib import Path
from typing import Self

from tests.servers.ports import free_port
from tests.servers.processes import kill_group, signal_group, spawn, tail
from tests.waiting import NotInTime, wait_for


class ServerError(Exception):
    """A server did not start; the message ends with its log."""


class Server:
    """A server on 127.0.0.1. It keeps its port and its data from `start` over `stop` or `kill` to `start`."""

    name: str
    start_seconds = 60.0
    stop_seconds = 20.0
    #: What asks the process to stop in order.
    stop_signal = signal.SIGTERM
    #: The user id to run as, where it must not be root.
    user: int | None = None

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.log = directory / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    # What a server says of itself.

    def command(self) -> list[str]:
        """Return the command line."""
        raise NotImplementedError(type(self).__name__)

    def environment(self) -> dict[str, str]:
        """Return what its environment has besides ours."""
        return {}

    def prepare(self) -> None:
        """Make ready what must exist before it first starts; called at every start."""

    def answers(self) -> bool:
        """Return whether it does its work: not only listens."""
        raise NotImplementedError(type(self).__name__)

    # What tests do with it.

    @property
    def pid(self) -> int:
        """The main process."""
        if self._process is None:
            raise ServerError(f"{self.name} is not running.")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process lives; a paused one does."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it unless it runs, let it go on if it is frozen, and wait until it answers."""
        self.resume()
        if not self.running:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.prepare()
            self._process = spawn(
                self.command(),
                log=self.log,
                environment=self.environment(),
                directory=self.directory,
                user=self.user,
                foreign=True,
            )
        self._wait_until_it_answers()
        return self

    def _wait_until_it_answers(self) -> None:
        try:
            wait_for(lambda: not self.running or self.answers(), self.start_seconds, what=f"{self.name} to answer")
        except NotInTime as exc:
            raise ServerError(f"{exc}\n{tail(self.log)}") from exc
        if not self.running:
            raise ServerError(f"{self.name} ended while it started.\n{tail(self.log)}")

    def stop(self) -> None:
        """Stop it in order, as an operator would; kill it where that takes too long."""
        if self._process is None:
            return
        self.resume()
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self) -> None:
        """Kill it and all its children at once (SIGKILL)."""
        if self._process is not None:
            kill_group(self._process)
            self._process = None

    def restart(self) -> None:
        """Stop it in order and start it again."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing is answered (SIGSTOP)."""
        if self._process is not None:
            signal_group(self._process, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        if self._process is not None:
            signal_group(self._process, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
