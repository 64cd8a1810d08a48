"""The system under chaos: database and broker behind proxies, workers that are started again when they end."""

import os
import random
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from tests.acceptance.worker import Worker
from tests.chaos.journal import EFFECTS, JOURNAL, TABLE
from tests.chaos.later import Later
from tests.chaos.limits import AT_ONCE
from tests.chaos.odd import OddMessages
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
    "JOBS_LIMITS": f"chaos.shared=concurrency:{AT_ONCE['shared']}",
    "EXTRA_APPS": "tests.chaos",
}

#: The pools of the workers, in turn.
POOLS = ("prefork", "threads")

#: What the jobs' queues are, for a worker whose code does not know their tasks.
QUEUES = ("chaos", "chaos.failing", "chaos.shared")


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
    #: Those with older code. They are struck like the others, and not replaced.
    older: list[Worker] = field(default_factory=list)
    started: int = 0
    later: Later = field(default_factory=Later)
    odd: OddMessages = field(default_factory=OddMessages)

    def __enter__(self) -> Self:
        self.stack = ExitStack()
        self.proxies: dict[str, Proxy] = {}
        for name, url in (("database", self.database.url), ("broker", self.broker_url)):
            if port := urlsplit(url).port:
                self.proxies[name] = self.stack.enter_context(Proxy(port))
        _make_table()
        for index in range(self.count):
            self.workers.append(self._worker(index))
        return self

    def __exit__(self, *exc_info: object) -> None:
        for worker in [*self.workers, *self.older]:
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

    def written(self) -> set[str]:
        """Return the labels that jobs wrote into their table, on a new connection."""
        from django.db import connection  # noqa: PLC0415 (Django is set up by then)

        connection.close()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT label FROM {TABLE}")  # noqa: S608 (a name of ours)
            return {label for (label,) in cursor.fetchall()}

    def any_worker(self, rng: random.Random) -> Worker | None:
        """Return one of the workers that run."""
        running = [worker for worker in [*self.workers, *self.older] if worker.exit_code is None]
        return rng.choice(running) if running else None

    def start_older_worker(self) -> Worker:
        """Start a worker whose code does not know the tasks of the jobs."""
        worker = self._worker(len(self.older), name="older", queues=QUEUES, EXTRA_APPS="")
        self.older.append(worker)
        return worker

    def _worker(self, index: int, name: str = "chaos", queues: Sequence[str] = (), **variables: str) -> Worker:
        self.started += 1
        worker = Worker(
            f"{name}{index}",
            environment={**self.variables(), **variables},
            log=self.directory / f"{name}{index}-{self.started}.log",
            pool=POOLS[index % len(POOLS)],
            concurrency=2,
            queues=queues,
            options=["--without-gossip", "--without-mingle"],
        )
        worker.start()
        return worker


def _make_table() -> None:
    from django.db import connection  # noqa: PLC0415 (Django is set up by then)

    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {TABLE} (label varchar(100) PRIMARY KEY)")
