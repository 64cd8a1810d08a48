"""Somebody's open transaction that holds rows, and a connection that fails where it would wait for one. PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection

from jobs.models import Job


@contextmanager
def elsewhere() -> Iterator[psycopg.Connection]:
    """Open a second connection to the database in use, in a transaction that ends with the block."""
    parameters: dict[str, Any] = connection.get_connection_params()
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters) as other:
        yield other
        other.rollback()


@contextmanager
def holding(*jobs: Job) -> Iterator[None]:
    """Hold the rows of these jobs meanwhile, as a transaction does that has changed them."""
    with elsewhere() as other:
        other.execute("SELECT 1 FROM jobs_job WHERE id = ANY(%s) FOR UPDATE", [[job.pk for job in jobs]])
        yield


@contextmanager
def never_waiting() -> Iterator[None]:
    """Let every statement fail that would wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1ms'")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
