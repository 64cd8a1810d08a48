"""A real `celery -A project worker`, to be signalled and killed."""

import re
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from tests import forks
from tests.servers.processes import Process, kill_group, spawn, tail
from tests.waiting import wait_for

START_SECONDS = 90.0
READY = re.compile(r"celery@\S+ ready\b|\S+ ready\.")


class Worker:
    """One worker: a main process and, with the prefork pool, its children."""

    def __init__(
        self,
        name: str,
        *,
        environment: Mapping[str, str],
        log: Path,
        pool: str = "prefork",
        concurrency: int = 2,
        queues: Sequence[str] = (),
        options: Sequence[str] = (),
        app: str = "project",
        directory: Path = settings.BASE_DIR,
    ) -> None:
        self.name = name
        self.log = log
        self._directory = directory
        self._environment = dict(environment)
        self._arguments = [
            *("--app", app, "worker"),
            *("--hostname", f"{name}@test"),
            *("--pool", pool),
            *("--concurrency", str(concurrency)),
            *("--loglevel", "INFO"),
            *(["--queues", ",".join(queues)] if queues else []),
            *options,
        ]
        self._process: Process | None = None
        #: How much of the log is of its earlier lives.
        self._earlier = 0

    # Its life.

    def start(self) -> None:
        """Start it; do not wait."""
        self._earlier = len(self.log_text()) if self.log.exists() else 0
        if self._directory == settings.BASE_DIR and "PYTHONPATH" not in self._environment:
            self._process = forks.python("celery", *self._arguments, log=self.log, environment=self._environment)
            return
        self._process = spawn(
            [sys.executable, "-m", "celery", *self._arguments],
            log=self.log,
            environment=self._environment,
            directory=self._directory,
        )

    def wait_until_ready(self) -> None:
        """Wait until it consumes."""
        wait_for(
            lambda: self.exit_code is not None or READY.search(self.log_text(), self._earlier),
            START_SECONDS,
            what=f"{self.name} to be ready",
        )
        assert self.exit_code is None, f"{self.name} ended at its start.\n{tail(self.log)}"

    def stop(self, seconds: float = 30.0) -> int:
        """Ask it to stop in order (SIGTERM), wait, and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = 30.0) -> int:
        """Wait for its end and return its exit code; negative is the signal that killed it."""
        wait_for(lambda: self.exit_code is not None, seconds, what=f"{self.name} to end")
        assert self.exit_code is not None
        return self.exit_code

    def clean_up(self) -> None:
        """Kill whatever is left of it."""
        if self._process is not None:
            kill_group(self._process)

    # What it is.

    @property
    def process(self) -> Process:
        """The main process."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    @property
    def pid(self) -> int:
        """The main process's id."""
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self.process.poll()

    def children(self) -> list[int]:
        """Return the ids of its pool's processes."""
        if self.exit_code is not None:
            return []
        return [child.pid for child in psutil.Process(self.pid).children()]

    def log_text(self) -> str:
        """Return all it said."""
        return self.log.read_text(errors="replace")

    def report(self) -> tuple[str, str]:
        """Tell of it in a failed test's report."""
        return f"log of {self.name}", tail(self.log, 200)

    # What is done to it.

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the main process alone, as a process manager does."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill all its processes at once (SIGKILL), as a lost machine does."""
        kill_group(self.process)

    def kill_main(self) -> None:
        """Kill the main process alone (SIGKILL)."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def kill_child(self, pid: int | None = None) -> int:
        """Kill one process of the pool (SIGKILL), as the kernel does when memory runs out; the first unless told."""
        pid = pid or self.children()[0]
        psutil.Process(pid).kill()
        return pid


class SharedWorker:
    """A worker for many tests: one that has ended fails the test it ended in, and is started anew for the next."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._told = False

    @contextmanager
    def outliving_a_test(self) -> Iterator[None]:
        """Give a test a running worker, and prove that it still runs when the test ends."""
        # It may have ended after the look at the end of the test before, whose deed that was.
        self._prove_that_it_runs()
        if self._told:
            self.worker.clean_up()
            self.worker.start()
            self.worker.wait_until_ready()
            self._told = False
        yield
        self._prove_that_it_runs()

    def _prove_that_it_runs(self) -> None:
        code = self.worker.exit_code
        if code is not None and not self._told:
            self._told = True
            pytest.fail(f"{self.worker.name} ended with {code}.", pytrace=False)
