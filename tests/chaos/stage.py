"""The servers of a run: a database of its own, migrated, and a broker."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.databases import Database, default_database_at
from tests.environment import environment
from tests.templates import migrate


@contextmanager
def stage(vendor: str, broker: str, directory: Path) -> Iterator[tuple[Database, str]]:
    """Start what a run needs; the `default` connection leads to its database meanwhile."""
    environment.valkey.start()
    database = _database(vendor, directory)
    migrate(database.url)
    with default_database_at(database.url):
        yield database, environment.valkey.url if broker == "valkey" else "ledger://"


def _database(vendor: str, directory: Path) -> Database:
    if vendor == "sqlite":
        path = directory / "chaos.sqlite3"
        return Database(vendor, f"sqlite:///{path}", str(path))
    environment.postgres.start()
    name = environment.postgres.create_database("chaos")
    return Database(vendor, environment.postgres.url(name), name)
