"""The ledger's SQL: what its statements have in common, and how they are run."""

import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.core.breaker import BreakerState
from jobs.core.states import State
from jobs.ledger.dialect import Dialect, dialect

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

#: Holds for jobs whose dependency is there, or that need none: then nothing is asked, else once in a statement, too.
BREAKER_CLOSED = (
    f"(breaker IS NULL OR breaker NOT IN (SELECT name FROM jobs_breaker WHERE state <> '{BreakerState.CLOSED}'))"
)


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
    job_id: uuid.UUID, condition: str, meant: Sequence[Any], change: str, parameters: Sequence[Any] = ()
) -> bool:
    """Change a job's row where a condition holds.

    Args:
        job_id: the job.
        condition: which row is to be changed.
        meant: the condition's parameters.
        change: an UPDATE without its WHERE.
        parameters: those of the change.

    Returns:
        Whether it does.

    Raises:
        RowLocked: somebody else's transaction holds the row for longer than it takes to change it.
    """
    if dialect().name != "postgresql":
        # Who writes is alone.
        return changed(f"{change} WHERE {condition}", (*parameters, *meant)) == 1
    statement = (
        f"WITH done AS ({change} WHERE {free(condition)} RETURNING id) SELECT TRUE FROM done"
        f" UNION ALL SELECT FALSE FROM jobs_job WHERE NOT EXISTS (SELECT FROM done) AND {condition}"
    )
    for pause in (*_LOOKS, None):
        row = one(statement, (*parameters, *meant, *meant))
        if row is None or row[0]:
            return row is not None
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
