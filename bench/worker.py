"""A worker of a variant, and what it uses."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from bench import usage
from bench.servers import ROOT, Servers
from bench.variants import Pool, Variant
from tests.servers.processes import kill_group, signal_group, spawn, tail

#: The longest a worker may take to stop, in seconds.
_STOPPING = 10.0


class Worker:
    """Started on entering, gone on leaving."""

    def __init__(self, variant: Variant, pool: Pool, environment: Mapping[str, str], log: Path) -> None:
        self._command = [str(variant.python), *map(str, variant.worker(pool))]
        self._environment, self._log = environment, log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._log.unlink(missing_ok=True)
        self._process = spawn(self._command, log=self._log, environment=self._environment, directory=ROOT)
        return self

    def __exit__(self, *exc_info: object) -> None:
        process = self._running
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOPPING)
        kill_group(process)

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "the worker was not started"
        return self._process

    @property
    def log(self) -> str:
        """The end of what it wrote."""
        return tail(self._log)

    @property
    def ended(self) -> bool:
        """Whether it is gone, which nobody asked it to."""
        return self._running.poll() is not None

    def cpu(self) -> float:
        """Return the CPU seconds it has used with its children."""
        return usage.cpu(self._running.pid)

    def parent_cpu(self) -> float:
        """Return the CPU seconds its main process has used alone."""
        return usage.own_cpu(self._running.pid)

    def memory(self) -> int:
        """Return the bytes it has in memory with its children."""
        return usage.memory(self._running.pid)

    @contextlib.contextmanager
    def frozen(self, servers: Servers) -> Iterator[None]:
        """Hold it and its children still: what is enqueued meanwhile waits, and the clock of its CPU stands."""
        self._freeze(servers)
        try:
            yield
        finally:
            signal_group(self._running, signal.SIGCONT)

    def _freeze(self, servers: Servers) -> None:
        signal_group(self._running, signal.SIGSTOP)
        # Not in the middle of a write that nobody else could get past.
        while not servers.database.is_free():
            signal_group(self._running, signal.SIGCONT)
            time.sleep(0.01)
            signal_group(self._running, signal.SIGSTOP)
