"""Huey's side, as its guide sets it up: a queue in Redis with its defaults, in the database without one."""

import os
from collections.abc import Callable
from typing import Any

import psycopg
from huey import PostgresHuey, RedisHuey, SqliteHuey

from bench.marks import marks


def _huey(broker: str, database: str) -> Any:
    if broker != "ledger://":
        return RedisHuey("bench", url=broker)
    if database.startswith("sqlite:///"):
        return SqliteHuey("bench", filename=database.removeprefix("sqlite:///"))
    # It makes its tables when it is imported, and two processes that do so at once trip over each other.
    with psycopg.connect(database) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(1)")
        return PostgresHuey("bench", dsn=database)


huey = _huey(os.environ["BROKER_URL"], os.environ["DATABASE_URL"])


@huey.task()  # type: ignore[untyped-decorator]
def nothing(number: int) -> None:
    """Leave a mark, do nothing."""
    marks().ran(number)


def sender(task: str) -> Callable[[int], object]:
    """Return what enqueues one call of the task: with Huey, calling it."""
    send: Callable[[int], object] = globals()[task]
    return send


def settle() -> None:
    """Nothing to wait for: a call returns once its message is sent."""
