"""Waking the workers that wait for a row: with `ledger://` nothing else tells them. And its few plain statements."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

#: The scheme of `BROKER_URL=ledger://`, and Kombu's name for the kind of transport.
LEDGER = "ledger"

#: What means that the database is out of reach, or SQLite's lock is taken: try again.
GONE = (OperationalError, InterfaceError)

#: PostgreSQL's notification channel. The payload says what waits: `j:` jobs in a queue, `m:` messages to a queue,
#: `b:` broadcasts to an exchange.
CHANNEL = "jobs_ledger"

#: Makes this commit not wait for the disk. It holds for one transaction only: a pooled connection keeps its own ways.
RELAXED = "set_config('synchronous_commit', 'off', true)"


def rows(database: Any, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows, if it has any."""
    with database.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def own_connection() -> BaseDatabaseWrapper:
    """Return an open connection of the caller's own to the database, never inside somebody's transaction."""
    database = connections.create_connection(DEFAULT_DB_ALIAS)
    # Not from Django's pool: what listens cannot be lent to anybody else.
    options = {name: value for name, value in database.settings_dict["OPTIONS"].items() if name != "pool"}
    database.settings_dict = {**database.settings_dict, "OPTIONS": options}
    database.inc_thread_sharing()
    database.ensure_connection()
    return database


@contextmanager
def left_as_found() -> Iterator[None]:
    """Use this thread's Django connection and leave it as it was.

    Outside a transaction a broken connection is dropped, so that the next try gets a new one. One to SQLite is not
    left open where it was closed: it must not be carried over a fork of the worker's pool.
    """
    was_open = connection.connection is not None
    try:
        yield
    except GONE:
        if not connection.in_atomic_block:
            connection.close()
        raise
    else:
        if not was_open and connection.vendor == "sqlite" and not connection.in_atomic_block:
            connection.close()


def announce(queues: Collection[str]) -> None:
    """Wake the workers of these queues for jobs that have been committed. SQLite's readers notice by themselves."""
    if queues and connection.vendor == "postgresql":
        with left_as_found():
            announce_through(connection, queues)


def announce_through(database: Any, queues: Collection[str]) -> None:
    """Wake the workers of these queues, through this connection to PostgreSQL."""
    rows(
        database,
        f"SELECT pg_notify('{CHANNEL}', 'j:' || queue), {RELAXED} FROM unnest(%s::text[]) AS queue",
        [list(queues)],
    )
