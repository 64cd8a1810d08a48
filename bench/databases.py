"""The databases a ledger can be in: PostgreSQL that keeps what it committed, and an SQLite file."""

import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import psycopg

from bench import usage
from tests.servers import Postgres

NAME = "bench"

#: Every job has its end: as a list of the others, for which there are indexes.
_SETTLED = (
    "SELECT NOT EXISTS (SELECT 1 FROM jobs_job WHERE state IN ('scheduled', 'queued', 'running', 'retrying') LIMIT 1)"
)

#: Needed to count statements.
_COUNTER = {"shared_preload_libraries": "pg_stat_statements"}

#: How often each was run; not those of the counting itself.
_CALLS = "SELECT calls, query FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%' ORDER BY calls DESC"


class Database(Protocol):
    """What a run needs of a database. Its data goes with its directory."""

    title: str

    @property
    def url(self) -> str:
        """Where clients find it."""

    def start(self) -> None:
        """Make it ready to be migrated."""

    def migrated(self) -> None:
        """Take note that its tables are there, all empty."""

    def kill(self) -> None:
        """End it at once."""

    def clear(self) -> None:
        """Forget all jobs and messages."""

    def settled(self) -> bool:
        """Return whether the ledger has the outcome of every job it knows."""

    def is_free(self) -> bool:
        """Return whether somebody else could write now."""

    def cpu(self) -> float:
        """Return the CPU seconds its own processes have used."""

    def statements(self, seconds: float) -> Sequence[tuple[int, str]] | None:
        """Return what it is told within that time, the most frequent first; None where nobody counts."""

    def version(self) -> str:
        """Return what it says of itself."""


class PostgreSQL:
    """A server whose every commit is on the disk."""

    title = "PostgreSQL"

    def __init__(self, directory: Path) -> None:
        self._server = Postgres(directory / "postgres", durable=True)
        self._server.settings = self._server.settings | _COUNTER
        self._connection: psycopg.Connection | None = None

    @property
    def url(self) -> str:
        """Where clients find it."""
        return self._server.url(NAME)

    def start(self) -> None:
        self._server.start()
        self._server.create_database(NAME)
        # Kept: each new one would cost the server more than what it asks.
        self._connection = psycopg.connect(self.url, autocommit=True)
        self.execute("CREATE EXTENSION pg_stat_statements")
        # Only while somebody asks: it costs a little.
        self._count("none")

    def migrated(self) -> None:
        """Nothing to do: its tables can be emptied."""

    def kill(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._server.kill()

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement of the benchmark's own and return its rows."""
        assert self._connection is not None
        cursor = self._connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []

    def clear(self) -> None:
        self.execute("TRUNCATE jobs_job, jobs_deadletter, jobs_brokermessage CASCADE")

    def settled(self) -> bool:
        return self.execute(_SETTLED) == [(True,)]

    def is_free(self) -> bool:
        return True

    def cpu(self) -> float:
        return usage.cpu(self._server.pid)

    def statements(self, seconds: float) -> Sequence[tuple[int, str]]:
        self._count("all")
        self.execute("SELECT pg_stat_statements_reset()")
        time.sleep(seconds)
        counted = self.execute(_CALLS)
        self._count("none")
        return [(int(str(calls)), str(query)) for calls, query in counted]

    def _count(self, which: str) -> None:
        self.execute(f"ALTER SYSTEM SET pg_stat_statements.track = '{which}'")
        self.execute("SELECT pg_reload_conf()")
        # The others read it before their next statement.
        time.sleep(0.2)

    def version(self) -> str:
        [(version,)] = self.execute("SHOW server_version")
        return f"PostgreSQL {version}"


class SQLite:
    """A file."""

    title = "SQLite"

    def __init__(self, directory: Path) -> None:
        self._path = directory / "nightshift.sqlite3"
        self._empty = directory / "empty.sqlite3"

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"sqlite:///{self._path}"

    def start(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def migrated(self) -> None:
        with closing(sqlite3.connect(self._path)) as source, closing(sqlite3.connect(self._empty)) as copy:
            source.backup(copy)

    def kill(self) -> None:
        """Nothing to do: it has no process."""

    def clear(self) -> None:
        """Put the empty file in its place; nobody may be using it."""
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(self._empty, self._path)

    def settled(self) -> bool:
        with closing(sqlite3.connect(self._path, timeout=10)) as connection:
            return bool(connection.execute(_SETTLED).fetchone()[0])

    def is_free(self) -> bool:
        with closing(sqlite3.connect(self._path, timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            connection.execute("ROLLBACK")
        return True

    def cpu(self) -> float:
        return 0.0

    def statements(self, seconds: float) -> None:
        time.sleep(seconds)

    def version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"


DATABASES: dict[str, type[PostgreSQL | SQLite]] = {"postgresql": PostgreSQL, "sqlite": SQLite}
