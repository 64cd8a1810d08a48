"""The SQL in which the two databases differ. Every time in the ledger is taken from the database's clock."""

import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.core.breaker import BreakerState
from jobs.core.states import State


@dataclass(frozen=True, slots=True)
class Dialect:
    """One database's dialect.

    Attributes:
        now: the database's clock.
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
    after: str
    json: str
    skip_locked: str
    is_one_of_ids: str
    is_one_of: str
    leased_jobs: str

    def key(self, value: uuid.UUID) -> object:
        """Return `value` as the database's parameter."""
        return value if self.name == "postgresql" else value.hex

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


#: What every end of an attempt does to the lease, and to what held the job back before it.
NO_LEASE = (
    "lease_id = NULL, lease_expires_at = NULL, cancel_requested_at = NULL, held_by = NULL, held_since = NULL,"
    " held_rule = NULL"
)

#: What becomes of a job's unique key when it begins, and when it has succeeded: its window (`within`) may go on.
UNIQUE_KEY_BEGUN = "unique_key = CASE WHEN unique_until = 'done' OR unique_expires_at > {now} THEN unique_key END"
UNIQUE_KEY_SUCCEEDED = "unique_key = CASE WHEN unique_expires_at > {now} THEN unique_key END"

#: Holds for jobs of queues that are not paused. Which those are is asked once in a statement, and not for each row.
NOT_PAUSED = "queue NOT IN (SELECT name FROM jobs_queue WHERE paused_at IS NOT NULL)"

#: Holds for jobs whose dependency is there, or that need none. It is asked once in a statement, too.
BREAKER_CLOSED = f"COALESCE(breaker, '') NOT IN (SELECT name FROM jobs_breaker WHERE state <> '{BreakerState.CLOSED}')"


def placeholders(items: Sequence[object]) -> str:
    """Return as many placeholders as there are items: `%s, %s, %s`."""
    return ", ".join(["%s"] * len(items))


class RowLocked(Exception):
    """Raised where a row cannot be changed now, since a transaction of somebody else's holds it.

    Nobody in the engine waits for such a transaction, which may last for hours: others would wait for him.

    Attributes:
        job_ids: the jobs whose rows are held.
    """

    def __init__(self, job_ids: Iterable[uuid.UUID]) -> None:
        self.job_ids = frozenset(job_ids)
        names = ", ".join(sorted(str(job_id) for job_id in self.job_ids))
        super().__init__(f"Another transaction holds the row of job {names}; it is changed when that has ended.")


def free(where: str, table: str = "jobs_job", lock: str = "") -> str:
    """Return the condition on rows for which `where` holds, but not on those that somebody else's transaction holds.

    Args:
        where: a condition, which may end in an order and a limit.
        table: whose rows.
        lock: how they are locked; if not said, as an UPDATE needs it.
    """
    sql = dialect()
    if not sql.skip_locked:
        return where if "LIMIT" not in where else f"id IN (SELECT id FROM {table} WHERE {where})"
    # An array, lest the planner runs the locking select more than once, and takes more than the limit.
    return f"id = ANY(ARRAY(SELECT id FROM {table} WHERE {where} {lock or sql.skip_locked}))"


def change_named(named: str, condition: str, change: str, returning: str, sql: Dialect) -> str:
    """Return the statement that changes jobs named by a query, but not those that somebody else's transaction holds.

    Args:
        named: the query: `job` is the job's id, and all its columns are known as `named` to the others.
        condition: which of these jobs are changed.
        change: an UPDATE without its FROM and WHERE.
        returning: columns of the changed rows.
        sql: the database's dialect.
    """
    if not sql.skip_locked:
        # Who writes is alone.
        found = f"WITH named AS MATERIALIZED ({named})"
        return f"{found} {change} FROM named WHERE id = named.job AND {condition} RETURNING {returning}"
    return (
        f"WITH named AS MATERIALIZED (SELECT named.* FROM ({named}) AS named CROSS JOIN LATERAL"
        f" (SELECT FROM jobs_job WHERE id = named.job AND {condition} {sql.skip_locked}) AS free)"
        f" {change} FROM named WHERE id = named.job RETURNING {returning}"
    )


#: How long a row is waited for that is changed at this moment, in seconds from one look to the next: what others of
#: the engine do with it takes milliseconds.
_LOOKS = (0.005, 0.01, 0.02, 0.04, 0.08)


def change_one(
    job_id: uuid.UUID,
    condition: str,
    meant: Sequence[Any],
    change: str,
    parameters: Sequence[Any] = (),
    *,
    returning: Sequence[str] = ("id",),
) -> tuple[Any, ...] | None:
    """Change a job's row where a condition holds.

    Args:
        job_id: the job.
        condition: which row is to be changed.
        meant: the condition's parameters.
        change: an UPDATE without its WHERE.
        parameters: those of the change.
        returning: what is wanted of the row then.

    Returns:
        That; None where the condition does not hold.

    Raises:
        RowLocked: somebody else's transaction holds the row for longer than it takes to change it.
    """
    wanted = ", ".join(returning)
    if dialect().name != "postgresql":
        # Who writes is alone.
        return one(f"{change} WHERE {condition} RETURNING {wanted}", (*parameters, *meant))
    statement = (
        f"WITH done AS ({change} WHERE {free(condition)} RETURNING {wanted}) SELECT TRUE, * FROM done"
        f" UNION ALL SELECT FALSE{', NULL' * len(returning)} FROM jobs_job"
        f" WHERE NOT EXISTS (SELECT FROM done) AND {condition}"
    )
    for pause in (*_LOOKS, None):
        row = one(statement, (*parameters, *meant, *meant))
        if row is None or row[0]:
            return row and row[1:]
        if pause is not None:
            time.sleep(pause)
    raise RowLocked([job_id])


def in_state(*states: State) -> str:
    """Return the condition on a row that is named by its id, and shall be found by its id.

    PostgreSQL must not see that the condition fits one of the indexes of rows in a state. As long as it believes such
    an index to be as empty as when it was last analysed, it reads the whole of it to find a single row.
    """
    named = ", ".join(f"'{state}'" for state in sorted(states))
    return f"state || '' IN ({named})"


def read_json(value: Any) -> Any:
    """Return JSON as read by a plain cursor: a text, or None."""
    return json.loads(value) if isinstance(value, str) else value


def one(statement: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
    """Run a statement and return its first row."""
    with cursor() as opened:
        opened.execute(statement, parameters)
        row: tuple[Any, ...] | None = opened.fetchone()
        return row


def rows(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows."""
    with cursor() as opened:
        opened.execute(statement, parameters)
        return list(opened.fetchall())


def changed(statement: str, parameters: Sequence[Any] = (), over: BaseDatabaseWrapper | None = None) -> int:
    """Run a statement, over the thread's connection or another one, and return how many rows it changed."""
    with cursor(over) as opened:
        opened.execute(statement, parameters)
        return int(opened.rowcount)


@cache
def _binding_cursor() -> Any:
    # psycopg comes with it, which a process on SQLite has no use for.
    from django.db.backends.postgresql.base import ServerBindingCursor  # noqa: PLC0415

    return ServerBindingCursor


@contextmanager
def cursor(over: BaseDatabaseWrapper | None = None) -> Iterator[Any]:
    """Return a cursor for the ledger's statements, which are few and run often.

    On PostgreSQL, Django's own cursors write the parameters into the text of each statement, so that the server has
    to parse and plan it every time. These have it do so once; `prepare_threshold` in `project.database` says when.
    """
    # Django's `connection` looks for the thread's connection at every use of it.
    database: Any = over or connections[DEFAULT_DB_ALIAS]
    if database.vendor != "postgresql":
        with _naming_the_writer(database), database.cursor() as opened:
            yield opened
        return
    # What `connection.cursor` does, with another kind of cursor.
    database.close_if_health_check_failed()
    database.ensure_connection()
    raw = database.connection
    with database.wrap_database_errors, _binding_cursor()(raw) as opened:
        # For whoever watches what a task does with its connection: this is not the task.
        raw.used_by_ledger = True
        try:
            # Where Django keeps a log of statements, ours are in it.
            yield database._prepare_cursor(opened) if database.queries_logged else opened  # noqa: SLF001
        finally:
            raw.used_by_ledger = False


@contextmanager
def _naming_the_writer(database: Any) -> Iterator[None]:
    """Say of SQLite's "database is locked" what it means. Raises the same kind of error."""
    try:
        yield
    except OperationalError as exc:
        if getattr(exc.__cause__, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
            raise
        seconds = database.settings_dict["OPTIONS"].get("timeout", 5)
        raise OperationalError(
            f"database is locked: somebody else has been writing to the SQLite database for {seconds:g} s, the longest"
            " that is waited (`timeout` in OPTIONS). Nothing was written; keep transactions short, or use PostgreSQL."
        ) from exc
