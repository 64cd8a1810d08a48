"""Databases of one test's own, copied from a migrated one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from django.core.management import call_command
from django.db import connection, connections, transaction

from jobs.compose import ends
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
        ends.listener.stop()
        connections["default"].close()
        connections.settings["default"] = earlier_settings
        connections["default"] = earlier_connection


class Emptying:
    """Empties the database of the run by deleting from those tables that have rows.

    Django's way is to truncate all tables, which gives each a new file, and to write all permissions anew: twenty times
    the work. Made on a database that has been migrated and not used.
    """

    #: What the end of a migration writes, and nearly no test touches.
    RELEASED = ("django_content_type", "auth_permission")

    def __init__(self) -> None:
        tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        names = [connection.ops.quote_name(table) for table in tables if table not in self.RELEASED]
        self._find = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in names)  # noqa: S608
        self._released = self._count_released()

    def after_a_test(self) -> None:
        """Delete what a test has written; where it has changed what a migration wrote, have that written anew."""
        if self._count_released() != self._released:
            call_command("flush", verbosity=0, interactive=False)
            self._released = self._count_released()
            return
        # The constraints between them are looked at when all is gone.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(self._find)
            for (name,) in cursor.fetchall():
                cursor.execute(f"DELETE FROM {name}")  # noqa: S608

    def _count_released(self) -> tuple[int, ...]:
        counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in self.RELEASED)  # noqa: S608
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {counts}")
            return tuple(cursor.fetchone())


def disconnect_others() -> None:
    """Cut every connection to the database in use but this one. On PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
