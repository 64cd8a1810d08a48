"""The brokers that carry messages: Valkey, RabbitMQ, and the ledger itself."""

from pathlib import Path
from typing import Protocol

import amqp

from bench import usage
from tests.brokers.rabbitmq import RabbitMQ
from tests.servers import Valkey

#: The queues that either side's tasks use.
_QUEUES = ("default", "celery")


class Broker(Protocol):
    """What a run needs of a broker. Its data goes with its directory."""

    title: str

    @property
    def url(self) -> str:
        """Where clients find it."""

    def start(self) -> None:
        """Start it and wait until it answers."""

    def kill(self) -> None:
        """End it at once."""

    def clear(self) -> None:
        """Forget all messages; no worker may be running."""

    def cpu(self) -> float:
        """Return the CPU seconds its own processes have used."""

    def version(self) -> str:
        """Return what it says of itself; empty where there is none."""


class _Served:
    """What brokers with a server have in common."""

    def __init__(self, server: Valkey | RabbitMQ) -> None:
        self._any = server

    @property
    def url(self) -> str:
        """Where clients find it."""
        return self._any.url

    def start(self) -> None:
        self._any.start()

    def cpu(self) -> float:
        return usage.cpu(self._any.pid)


class ValkeyBroker(_Served):
    """Valkey, in memory only."""

    title = "Valkey"

    def __init__(self, directory: Path) -> None:
        self._server = Valkey(directory / "valkey")
        super().__init__(self._server)

    def kill(self) -> None:
        self._server.kill()

    def clear(self) -> None:
        self._server.flush()

    def version(self) -> str:
        info = self._server.client.info("server")
        return f"Valkey {info.get('valkey_version') or info['redis_version']}"


class RabbitBroker(_Served):
    """RabbitMQ, which writes to the disk what is persistent."""

    title = "RabbitMQ"

    def __init__(self, directory: Path) -> None:
        self._server = RabbitMQ(directory / "rabbitmq")
        super().__init__(self._server)

    def kill(self) -> None:
        self._server.close()

    def clear(self) -> None:
        with self._server.connect() as connection:
            for name in _QUEUES:
                # Its second queue for what is urgent, its dead letters; Dramatiq's delayed and dead ones.
                for suffix in ("", ".urgent", ".dead", ".DQ", ".XQ"):
                    with connection.channel() as channel:
                        channel.queue_delete(name + suffix)

    def version(self) -> str:
        connection: amqp.Connection
        with self._server.connect() as connection:
            return f"RabbitMQ {connection.server_properties['version']}"


class LedgerBroker:
    """None: workers read the ledger."""

    title = "ledger://"
    url = "ledger://"

    def __init__(self, directory: Path) -> None:
        """Need nothing."""

    def start(self) -> None:
        """Nothing to do: the database does it."""

    def kill(self) -> None:
        """Nothing to do: it has no process."""

    def clear(self) -> None:
        """Nothing to do: what is no job goes with the database's tables."""

    def cpu(self) -> float:
        return 0.0

    def version(self) -> str:
        return ""


BROKERS: dict[str, type[ValkeyBroker | RabbitBroker | LedgerBroker]] = {
    "valkey": ValkeyBroker,
    "rabbitmq": RabbitBroker,
    "ledger": LedgerBroker,
}
