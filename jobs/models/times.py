"""Times beyond the calendar of Python: PostgreSQL holds the year 10000 and infinity, and psycopg refuses to read them.

One such time in a row, from an earlier version or a hand in the table, would fail every page that lists it.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.db.backends.signals import connection_created


def read_far_times() -> None:
    """Read what lies beyond the calendar as its end, on every connection to PostgreSQL."""
    connection_created.connect(_on_connection, dispatch_uid="jobs.models.times")


def _on_connection(connection: Any, **_: Any) -> None:
    if connection.vendor == "postgresql":
        _register(connection.connection)


def _register(connection: Any) -> None:
    from psycopg.pq import Format  # noqa: PLC0415 (without PostgreSQL it is not loaded)

    original = connection.adapters.get_loader(connection.adapters.types["timestamptz"].oid, Format.TEXT)
    # A connection from a pool has it already.
    if not getattr(original, "reads_far_times", False):
        connection.adapters.register_loader("timestamptz", _reading_far_times(original))


@cache
def _reading_far_times(original: type[Any]) -> type[Any]:
    """Return a loader like Django's, of which there is one for each time zone."""
    from psycopg import DataError  # noqa: PLC0415

    class Loader(original):
        reads_far_times = True

        def load(self, data: Any) -> datetime:
            try:
                found: datetime = super().load(data)
            except DataError:
                before = bytes(data).startswith(b"-") or bytes(data).endswith(b"BC")
                end = datetime.min if before else datetime.max  # noqa: DTZ901
                return end.replace(tzinfo=UTC)
            return found

    return Loader
