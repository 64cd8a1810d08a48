"""The servers of a run: PostgreSQL that keeps what it committed, and the Valkey that both sides share."""

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from bench import usage
from tests.servers import Postgres, Valkey

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "bench"


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a directory for servers and logs, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="nightshift-bench-") as name:
        directory = Path(name)
        # PostgreSQL runs as another user where we are root.
        directory.chmod(0o755)
        yield directory


def circumstances(versions: Mapping[str, str]) -> str:
    """Return when and on what machine something is measured."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.system()}"
        f" {platform.machine()}, Python {platform.python_version()}, PostgreSQL {versions['PostgreSQL']}"
    )


class Servers:
    """Started on entering, gone on leaving."""

    def __init__(self, directory: Path) -> None:
        self._postgres = Postgres(directory / "postgres", durable=True)
        self._valkey = Valkey(directory / "valkey")

    def __enter__(self) -> Self:
        self._valkey.start()
        self._postgres.start()
        self._postgres.create_database(DATABASE)
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            env={**os.environ, **self.environment()},
            cwd=ROOT,
            check=True,
        )
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Their data goes with the directory.
        self._postgres.kill()
        self._valkey.kill()

    def environment(self) -> Mapping[str, str]:
        """Return the variables that lead a process here."""
        return {
            # As in production: with DEBUG, Django keeps every statement in memory.
            "DEBUG": "false",
            "SECRET_KEY": "for-benchmarks-only-where-nothing-is-worth-protecting-42",
            "ALLOWED_HOSTS": "localhost",
            "FRONTEND_HOST": "http://localhost",
            "DATABASE_URL": self._postgres.url(DATABASE),
            "BROKER_URL": self._valkey.url,
            "REDIS_URL": self._valkey.url,
        }

    def clear(self) -> None:
        """Forget all jobs and messages."""
        self._valkey.flush()
        self._postgres.execute("TRUNCATE jobs_job CASCADE", DATABASE)

    def execute(self, statement: str) -> None:
        """Run a statement in the database of the run."""
        self._postgres.execute(statement, DATABASE)

    def settled(self) -> bool:
        """Return whether the ledger has the outcome of every job it knows."""
        query = "SELECT count(*) FROM jobs_job WHERE state <> 'succeeded'"
        return self._postgres.execute(query, DATABASE) == [(0,)]

    def cpu(self) -> float:
        """Return the CPU seconds the servers have used."""
        return usage.cpu(self._postgres.pid) + usage.cpu(self._valkey.pid)

    def versions(self) -> Mapping[str, str]:
        """Return what the servers say of themselves."""
        [(postgres,)] = self._postgres.execute("SHOW server_version")
        info = self._valkey.client.info("server")
        return {"PostgreSQL": str(postgres), "Valkey": info.get("valkey_version") or info["redis_version"]}
