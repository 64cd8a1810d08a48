"""The system under chaos: database and broker behind proxies, workers that are started again when they end."""

import os
import random
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from tests.acceptance.worker import Worker
from tests.chaos.journal import EFFECTS, JOURNAL
from tests.chaos.proxy import Proxy
from tests.databases import Database
from tests.environment import environment
from tests.servers.processes import spawn

#: Short, so that minutes show what otherwise takes hours.
SETTINGS = {
    "JOBS_LEASE_SECONDS": "6",
    "JOBS_LEASE_RENEW_SECONDS": "2",
    "JOBS_RESEND_SECONDS": "4",
    "JOBS_HOUSEKEEPING_SECONDS": "0.3",
    "JOBS_SHUTDOWN_SECONDS": "5",
    "JOBS_MAX_WORKER_LOSSES": "8",
    "EXTRA_APPS": "tests.chaos",
}

#: The pools of the workers, in turn.
POOLS = ("prefork", "threads")


def through(url: str, proxy: Proxy) -> str:
    """Return a URL that leads through a proxy."""
    parts = urlsplit(url)
    user = f"{parts.username}{f':{parts.password}' if parts.password else ''}@" if parts.username else ""
    return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}"))


@dataclass
class Site:
    """Servers, proxies, workers and enqueuers. Use as a context manager."""

    database: Database
    broker_url: str
    directory: Path
    count: int = 3
    workers: list[Worker] = field(default_factory=list)
    started: int = 0

    def __enter__(self) -> Self:
        self.stack = ExitStack()
        self.proxies: dict[str, Proxy] = {}
        for name, url in (("database", self.database.url), ("broker", self.broker_url)):
            if port := urlsplit(url).port:
                self.proxies[name] = self.stack.enter_context(Proxy(port))
        for index in range(self.count):
            self.workers.append(self._worker(index))
        return self

    def __exit__(self, *exc_info: object) -> None:
        for worker in self.workers:
            worker.clean_up()
        self.stack.close()

    def variables(self) -> dict[str, str]:
        """Return what leads a process to this site."""
        urls = {"DATABASE_URL": ("database", self.database.url), "BROKER_URL": ("broker", self.broker_url)}
        return {
            **SETTINGS,
            **{
                variable: through(url, self.proxies[name]) if name in self.proxies else url
                for variable, (name, url) in urls.items()
            },
            "REDIS_URL": environment.valkey.url,
            EFFECTS: str(self.directory / "effects"),
            JOURNAL: str(self.directory / "journal"),
        }

    def keep_alive(self) -> None:
        """Start a new worker for each that has ended, as a process manager does."""
        for index, worker in enumerate(self.workers):
            if worker.exit_code is not None:
                worker.clean_up()
                self.workers[index] = self._worker(index)

    def enqueuer(self, seed: int, name: str, seconds: float, rate: float) -> "os.PathLike[str]":
        """Start a process that enqueues for so many seconds; returns its log."""
        log = self.directory / f"enqueue-{name}.log"
        command = [sys.executable, "-m", "tests.chaos.enqueue", str(seed), name, str(seconds), str(rate)]
        process = spawn(command, log=log, environment=self.variables())
        self.stack.callback(process.kill)
        self.enqueuers = [*getattr(self, "enqueuers", []), process]
        return log

    @property
    def enqueuing(self) -> bool:
        """Whether an enqueuer still works."""
        return any(process.poll() is None for process in self.enqueuers)

    def any_worker(self, rng: random.Random) -> Worker | None:
        """Return one of the workers that run."""
        running = [worker for worker in self.workers if worker.exit_code is None]
        return rng.choice(running) if running else None

    def _worker(self, index: int) -> Worker:
        self.started += 1
        worker = Worker(
            f"chaos{index}",
            environment=self.variables(),
            log=self.directory / f"worker{index}-{self.started}.log",
            pool=POOLS[index % len(POOLS)],
            concurrency=2,
            options=["--without-gossip", "--without-mingle"],
        )
        worker.start()
        return worker
