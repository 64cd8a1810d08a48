"""PgBouncer in transaction mode, from Debian's package: each transaction gets another connection to PostgreSQL."""

import os
import pwd
import shutil
from pathlib import Path

import psycopg

from tests.servers import Postgres, Server

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={postgres}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
"""


class PgBouncer(Server):
    """A pooler before a PostgreSQL cluster."""

    name = "pgbouncer"

    def __init__(self, directory: Path, postgres: Postgres) -> None:
        super().__init__(directory)
        self._postgres = postgres
        # It refuses to run as root.
        self.user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None

    @staticmethod
    def is_installed() -> bool:
        """Return whether the program is there."""
        return Path(PROGRAM).exists()

    def url(self, database: str) -> str:
        """Return where clients find a database through it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        self.directory.chmod(0o755)
        users, self._file = self.directory / "users", self.directory / "pgbouncer.ini"
        users.write_text('"postgres" ""\n')
        self._file.write_text(CONFIGURATION.format(postgres=self._postgres.port, port=self.port, users=users))

    def command(self) -> list[str]:
        return [PROGRAM, str(self._file)]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True
