"""The servers of a run, by default PostgreSQL that keeps what it committed, and the Valkey that both sides share."""

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from bench.brokers import BROKERS, Broker
from bench.databases import DATABASES, Database, PostgreSQL

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a directory for servers and logs, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="nightshift-bench-") as name:
        directory = Path(name)
        # PostgreSQL runs as another user where we are root.
        directory.chmod(0o755)
        yield directory


def circumstances(versions: Sequence[str]) -> str:
    """Return when and on what machine something is measured."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.system()}"
        f" {platform.machine()}, Python {platform.python_version()}, {', '.join(versions)}"
    )


class Servers:
    """A database and a broker, started on entering, gone on leaving with their data."""

    def __init__(self, directory: Path, *, database: str = "postgresql", broker: str = "valkey") -> None:
        self.database: Database = DATABASES[database](directory)
        self.broker: Broker = BROKERS[broker](directory)

    def __enter__(self) -> Self:
        self.broker.start()
        self.database.start()
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            env={**os.environ, **self.environment()},
            cwd=ROOT,
            check=True,
        )
        self.database.migrated()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.database.kill()
        self.broker.kill()

    def environment(self) -> Mapping[str, str]:
        """Return the variables that lead a process here."""
        return {
            # As in production: with DEBUG, Django keeps every statement in memory.
            "DEBUG": "false",
            "PLAYGROUND": "false",
            "SECRET_KEY": "for-benchmarks-only-where-nothing-is-worth-protecting-42",
            "ALLOWED_HOSTS": "localhost",
            "FRONTEND_HOST": "http://localhost",
            "DATABASE_URL": self.database.url,
            "BROKER_URL": self.broker.url,
            "REDIS_URL": self.broker.url if self.broker.url.startswith("redis:") else "",
        }

    def clear(self) -> None:
        """Forget all jobs and messages."""
        self.broker.clear()
        self.database.clear()

    def execute(self, statement: str) -> None:
        """Run a statement in PostgreSQL."""
        assert isinstance(self.database, PostgreSQL), "only PostgreSQL runs statements of a benchmark"
        self.database.execute(statement)

    def settled(self) -> bool:
        """Return whether the ledger has the outcome of every job it knows."""
        return self.database.settled()

    def versions(self) -> Sequence[str]:
        """Return what the servers say of themselves."""
        return [version for version in (self.database.version(), self.broker.version()) if version]
