"""The two databases, and in what their SQL differs. Every time in the ledger is taken from the database's clock."""

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection


@dataclass(frozen=True, slots=True)
class Dialect:
    """One database's dialect.

    Attributes:
        now: the database's clock.
        epoch: the same, in seconds since 1970.
        after: the clock plus a number of seconds given as parameter.
        json: a JSON text given as parameter.
        skip_locked: what makes concurrent readers of rows to change pass each other by. A reference from another
            table, which PostgreSQL guards with a weaker lock, is in nobody's way.
        is_one_of_ids, is_one_of: what a column of UUIDs, or of texts, is compared with: an `array`. However many
            there are, the statement is the same, and is planned once.
        leased_jobs: a query for jobs (`job`) and their leases (`lease`) that are given as `pairs_of`.
    """

    name: str
    now: str
    epoch: str
    after: str
    json: str
    skip_locked: str
    is_one_of_ids: str
    is_one_of: str
    leased_jobs: str

    def key(self, value: uuid.UUID | None) -> object:
        """Return `value` as the database's parameter."""
        return value if value is None or self.name == "postgresql" else value.hex

    def ids(self, values: Iterable[uuid.UUID]) -> object:
        """Return `values` as the parameter of `is_one_of_ids`."""
        return list(values) if self.name == "postgresql" else json.dumps([value.hex for value in values])

    def array(self, values: Iterable[str]) -> object:
        """Return `values` as the parameter of `is_one_of`."""
        return list(values) if self.name == "postgresql" else json.dumps(list(values))

    def time(self, value: datetime | None) -> object:
        """Return an aware `value` as the database's parameter."""
        if value is None or self.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")

    def item(self, place: str) -> str:
        """Return one item, counted from 1, of the `array` that is given as parameter."""
        return (
            f"(%s::text[])[{place}]" if self.name == "postgresql" else f"json_extract(%s, '$[' || ({place} - 1) || ']')"
        )

    def given(self, columns: Mapping[str, str], *, few: str = "") -> str:
        """Return a query for the objects of a JSON array that is given as parameter.

        Args:
            columns: what to read of each, with its type in PostgreSQL.
            few: one of them, a text, by which the planner is to believe in a single row, as in `leased_jobs`.
        """
        if self.name == "postgresql":
            typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            where = f" WHERE {few} || '' = {few}" if few else ""
            return f"SELECT * FROM json_to_recordset(%s::json) AS given ({typed}){where}"
        read = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in columns)
        return f"SELECT {read} FROM json_each(%s)"

    def after_seconds(self, column: str) -> str:
        """Return the clock plus the number of seconds in `column`; NULL where that is."""
        return self.after.replace("%s", column)

    def seconds_until(self, column: str) -> str:
        """Return the seconds from now to the time in `column`; NULL where that is."""
        if self.name == "postgresql":
            return f"EXTRACT(EPOCH FROM ({column} - {self.now}))::float8"
        return f"((julianday({column}) - julianday('now')) * 86400.0)"

    def later(self, column: str) -> str:
        """Return the time in `column` plus a number of seconds given as parameter."""
        if self.name == "postgresql":
            return f"({column} + make_interval(secs => %s))"
        return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', {column}, %s || ' seconds')"

    def to_time(self, value: datetime | None) -> datetime | None:
        """Return a time as read by a plain cursor: SQLite's have no zone, and are in UTC."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value

    def to_uuid(self, value: object) -> uuid.UUID:
        """Return a UUID as read by a plain cursor."""
        return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))


POSTGRESQL = Dialect(
    name="postgresql",
    now="statement_timestamp()",
    epoch="EXTRACT(EPOCH FROM statement_timestamp())::float8",
    after="(statement_timestamp() + make_interval(secs => %s))",
    json="%s::jsonb",
    skip_locked="FOR NO KEY UPDATE SKIP LOCKED",
    is_one_of_ids="= ANY(%s::uuid[])",
    is_one_of="= ANY(%s::text[])",
    # Of an array the planner knows the length where it is told the value; then it plans anew each time. The condition
    # always holds, and has the planner believe in a single row: of more it would rather read the whole table.
    leased_jobs="SELECT key::uuid AS job, value AS lease FROM json_each_text(%s::json) WHERE key || '' = key",
)

SQLITE = Dialect(
    name="sqlite",
    now="strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')",
    epoch="((julianday('now') - 2440587.5) * 86400.0)",
    after="strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', %s || ' seconds')",
    json="%s",
    # One writer at a time (BEGIN IMMEDIATE): nothing to skip.
    skip_locked="",
    is_one_of_ids="IN (SELECT value FROM json_each(%s))",
    is_one_of="IN (SELECT value FROM json_each(%s))",
    leased_jobs="SELECT key AS job, value AS lease FROM json_each(%s)",
)


def pairs_of(leases: Mapping[uuid.UUID, str]) -> str:
    """Return jobs with their leases as the parameter of `leased_jobs`."""
    return json.dumps({job_id.hex: lease_id for job_id, lease_id in leases.items()})


def dialect() -> Dialect:
    """Return the dialect of the database in use."""
    return POSTGRESQL if connection.vendor == "postgresql" else SQLITE
