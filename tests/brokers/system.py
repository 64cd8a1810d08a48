"""A broker, a database and the workers on them, apart from every other test's."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from celery import current_app
from django.db import connection

from tests.acceptance.worker import Worker
from tests.brokers.application import application_at
from tests.brokers.rabbitmq import RabbitMQ
from tests.databases import Database, default_database_at
from tests.environment import environment
from tests.servers import Server, Valkey
from tests.tasks_app.effects import VARIABLE, Effects

Report = Callable[[], tuple[str, str]]


class Broker:
    """What `BROKER_URL` leads to."""

    #: The server whose restart is the broker's; None where there is none.
    server: Server | None = None
    has_fan_out = True

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url

    def wipe(self) -> None:
        """Forget every message."""
        raise NotImplementedError(self.name)


class ValkeyBroker(Broker):
    """Valkey, shared by all tests, and empty at each one's beginning."""

    def __init__(self, server: Valkey) -> None:
        super().__init__("valkey", server.url)
        self.server = self._valkey = server

    def wipe(self) -> None:
        self._valkey.flush()


class RabbitBroker(Broker):
    """RabbitMQ, shared by all tests, and without queues at each one's beginning."""

    def __init__(self, server: RabbitMQ) -> None:
        super().__init__("rabbitmq", server.url)
        self.server = self._rabbitmq = server

    def wipe(self) -> None:
        names = [f"{name}{suffix}" for name in current_app.amqp.queues for suffix in ("", ".urgent", ".dead")]
        with self._rabbitmq.connect() as amqp:
            for name in names:
                amqp.channel().queue_delete(name)


class LedgerBroker(Broker):
    """The ledger itself. Its jobs are not messages that could be wiped."""

    def __init__(self, database: Database) -> None:
        super().__init__(f"ledger-{database.vendor}", "ledger://")
        self.server = environment.postgres if database.vendor == "postgres" else None

    def wipe(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM jobs_brokermessage")


class System:
    """Workers on one broker and one database; what their tasks did."""

    def __init__(self, broker: Broker, database: Database, directory: Path, reports: list[Report]) -> None:
        self.broker = broker
        self.database = database
        self.effects = Effects(directory / "effects")
        self._directory = directory
        self._reports = reports
        self._numbers = count(1)
        self._workers: list[Worker] = []

    def start_worker(
        self, *, name: str = "", environment: Mapping[str, str] | None = None, ready: bool = True, **options: Any
    ) -> Worker:
        """Start a real worker; it ends with the test at the latest."""
        name = name or f"worker{next(self._numbers)}"
        worker = Worker(
            name,
            environment={
                "DATABASE_URL": self.database.url,
                "BROKER_URL": self.broker.url,
                VARIABLE: str(self.effects.path),
                **(environment or {}),
            },
            log=self._directory / f"{name}.log",
            **{"pool": "threads", **options},
        )
        self._workers.append(worker)
        self._reports.append(worker.report)
        worker.start()
        if ready:
            worker.wait_until_ready()
        return worker

    def gate(self, name: str) -> Path:
        """Return the path of a gate that is closed until the file is made."""
        return self._directory / name

    def move_to(self, broker: Broker) -> "System":
        """Return the same system with its workers on another broker."""
        moved = System(broker, self.database, self._directory, self._reports)
        moved._numbers, moved._workers = self._numbers, self._workers
        return moved

    def clean_up(self) -> None:
        """Kill what is left of the workers."""
        for worker in self._workers:
            worker.clean_up()


@contextmanager
def house_on(
    broker_of: Callable[[Database], Broker], database: Database, directory: Path, reports: list[Report]
) -> Iterator[System]:
    """Give a system whose database and broker this process uses too."""
    with ExitStack() as stack:
        stack.callback(database.drop)
        stack.enter_context(default_database_at(database.url))
        broker = broker_of(database)
        stack.enter_context(application_at(broker.url))
        broker.wipe()
        system = System(broker, database, directory, reports)
        stack.callback(system.clean_up)
        yield system
