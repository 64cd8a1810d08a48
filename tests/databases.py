"""Databases of one test's own, copied from a migrated one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from django.conf import settings
from django.db import connection, connections

from project.database import configuration
from tests.environment import environment


@dataclass(frozen=True)
class Database:
    """A migrated database nobody else uses."""

    vendor: str
    url: str
    #: The database's name on PostgreSQL, the file's path on SQLite.
    name: str

    @classmethod
    def copied(cls, vendor: str, *, template: str, directory: Path) -> Self:
        """Copy the migrated `template`."""
        if vendor == "postgres":
            environment.postgres.start()
            name = environment.postgres.create_database(template=template)
            return cls(vendor, environment.postgres.url(name), name)
        name = str(directory / "nightshift.sqlite3")
        shutil.copyfile(template, name)
        return cls(vendor, f"sqlite:///{name}", name)

    def drop(self) -> None:
        """Remove it, whoever still uses it."""
        if self.vendor == "postgres":
            environment.postgres.start()
            environment.postgres.drop_database(self.name)


def migrate(url: str) -> None:
    """Bring a database up to date in a process of its own, as a release does."""
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        check=True,
        env={**os.environ, "DATABASE_URL": url},
        cwd=settings.BASE_DIR,
    )


@contextmanager
def default_database_at(url: str, *, prepared: bool = True) -> Iterator[None]:
    """Let the `default` connection of every thread of this process lead to another database."""
    earlier_settings, earlier_connection = connections.settings["default"], connections["default"]
    connections.settings["default"] = connections.configure_settings(
        {"default": configuration(url, prepared=prepared)}
    )["default"]
    del connections["default"]
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = earlier_settings
        connections["default"] = earlier_connection


def disconnect_others() -> None:
    """Cut every connection to the database in use but this one. On PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
