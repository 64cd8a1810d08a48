"""What is known of an open connection: whether it lives, and whether it is as it was when it was new."""

import contextlib
import select
import sqlite3
import time
import weakref
from dataclasses import dataclass
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

#: A connection that has been idle for longer is asked for a sign of life when it is first used, in seconds: its server
#: may be gone without a word.
IDLE_SECONDS = 5.0

#: Ends all that a session on PostgreSQL can hold, but statements prepared by the driver: they are worth keeping.
_RESET = (
    "RESET SESSION AUTHORIZATION; RESET ALL; CLOSE ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES;"
    " SELECT pg_catalog.pg_advisory_unlock_all();"
)
#: Statements prepared in SQL cannot be told from those that were there before.
_PREPARED = " SELECT count(*) FROM pg_catalog.pg_prepared_statements WHERE from_sql"

#: Receivers of new connections that change nothing on the server.
_OURS = frozenset({"jobs.sessions", "jobs.models.times"})

#: What a connection of psycopg carries besides the server's settings.
_ATTRIBUTES = (
    *("isolation_level", "read_only", "deferrable", "prepare_threshold", "prepared_max"),
    *("autocommit", "row_factory", "cursor_factory", "server_cursor_factory"),
)

#: What SQLite says that a statement will do, where that outlives the statement and its transaction.
_TOUCHING = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})


@dataclass(slots=True)
class _Session:
    """What is known of an open connection.

    Attributes:
        raw: the driver's connection.
        restore: the statement that brings it back to what it was.
        attributes: what else it was.
        is_touched: whether something was done to it that no statement brings back.
        proven_at: when it was last known to live, by the monotonic clock.
    """

    raw: Any
    restore: bytes = b""
    attributes: tuple[Any, ...] = ()
    is_touched: bool = False
    proven_at: float = 0.0


def is_known(connection: Any) -> bool:
    """Return whether it was noted what an open connection was like when it was new."""
    return _session_of(connection) is not None


def _session_of(connection: Any) -> _Session | None:
    session: _Session | None = getattr(connection, "_jobs_session", None)
    return session if session is not None and session.raw is connection.connection else None


def take_note(connection: Any) -> None:
    """Note what a connection is like. Where it cannot say that, nothing is known of it."""
    raw = connection.connection
    session = _Session(raw, proven_at=time.monotonic())
    if connection.vendor == "postgresql":
        driver = connection.Database
        if raw.info.transaction_status != driver.pq.TransactionStatus.IDLE:
            return
        try:
            session.restore = _restoring(raw, driver)
        except driver.Error:
            return
        session.attributes = _attributes(raw)
        _watch_use(raw)
    elif connection.vendor == "sqlite":
        raw.set_authorizer(_watching(session))
        session.attributes = _attributes_of_sqlite(raw)
    else:
        return
    connection._jobs_session = session  # noqa: SLF001 (it ends with the connection)


def _restoring(raw: Any, driver: Any) -> bytes:
    result = raw.pgconn.exec_(
        b"SELECT string_agg(pg_catalog.format(' SELECT pg_catalog.set_config(%L, %L, false);', name, setting), '')"
        b" FROM pg_catalog.pg_settings WHERE source = 'session' AND name NOT LIKE 'transaction\\_%'"
    )
    if result.status != driver.pq.ExecStatus.TUPLES_OK:
        raise driver.OperationalError(result.get_error_message())
    restored: bytes = result.get_value(0, 0) or b""
    return _RESET.encode() + restored + _PREPARED.encode()


def _watch_use(raw: Any) -> None:
    """Let a connection of psycopg note that something was done over it, by whichever cursor: all wait for the server.

    The ledger says which statements are its own: they leave nothing behind.
    """
    raw.used_by_task = False
    if "wait" in vars(raw):
        return
    raw.used_by_ledger = False
    kind = type(raw)
    itself: Any = weakref.ref(raw)

    def wait(*args: Any, **options: Any) -> Any:
        connection = itself()
        if not connection.used_by_ledger:
            connection.used_by_task = True
        return kind.wait(connection, *args, **options)

    raw.wait = wait


def _attributes(raw: Any) -> tuple[Any, ...]:
    handlers = [len(getattr(raw, name, ())) for name in ("_notice_handlers", "_notify_handlers")]
    return (*(getattr(raw, name, None) for name in _ATTRIBUTES), *handlers)


def _attributes_of_sqlite(raw: Any) -> tuple[Any, ...]:
    return raw.isolation_level, raw.row_factory, raw.text_factory


def _watching(session: _Session) -> Any:
    def authorize(action: int, subject: str | None, value: str | None, database: str | None, _: str | None) -> int:
        # A PRAGMA without a value is a question.
        is_setting = action == sqlite3.SQLITE_PRAGMA and value is not None
        # `CREATE TEMP TABLE` is one action, `CREATE TABLE temp.x` another.
        is_temporary = database == "temp" and action != sqlite3.SQLITE_READ
        if action in _TOUCHING or is_setting or is_temporary:
            session.is_touched = True
        return sqlite3.SQLITE_OK

    return authorize


def lives(connection: Any) -> bool:
    """Return whether nothing says that the server is gone. Asks it, at the first use, where it has been idle long."""
    if connection.vendor != "postgresql":
        return True
    pgconn = connection.connection.pgconn
    if pgconn.status != connection.Database.pq.ConnStatus.OK:
        return False
    waiting = select.poll()
    waiting.register(pgconn.socket, select.POLLIN)
    if waiting.poll(0):
        # A server has nothing to say to an idle connection but that it ends.
        return False
    session = _session_of(connection)
    if session is None or time.monotonic() - session.proven_at > IDLE_SECONDS:
        connection.close_if_unusable_or_obsolete()
    return connection.connection is not None


def is_clean(connection: Any) -> bool:
    """Bring a connection back to what it was, and return whether it is."""
    session = _session_of(connection)
    if session is None or connection.in_atomic_block or connection.run_on_commit:
        return False
    if connection.autocommit != connection.settings_dict["AUTOCOMMIT"]:
        return False
    if connection.vendor == "sqlite":
        raw = connection.connection
        return not (session.is_touched or raw.in_transaction) and _attributes_of_sqlite(raw) == session.attributes
    if _attributes(connection.connection) != session.attributes:
        return False
    if not connection.connection.used_by_task:
        return _is_idle(session, connection.Database)
    return _is_reset(session, connection.Database) and _is_prepared(connection)


def _is_idle(session: _Session, driver: Any) -> bool:
    pgconn, pq = session.raw.pgconn, driver.pq
    idle: bool = pgconn.transaction_status == pq.TransactionStatus.IDLE
    return idle and bool(pgconn.pipeline_status == pq.PipelineStatus.OFF)


def _is_reset(session: _Session, driver: Any) -> bool:
    pgconn, pq = session.raw.pgconn, driver.pq
    if not _is_idle(session, driver):
        return False
    try:
        result = pgconn.exec_(session.restore)
    except driver.Error:
        return False
    session.proven_at = time.monotonic()
    session.raw.used_by_task = False
    return bool(result.status == pq.ExecStatus.TUPLES_OK and result.get_value(0, 0) == b"0")


def _is_prepared(connection: Any) -> bool:
    """Let whoever gives new connections something give it again, as where Django takes them from a pool.

    A setting of one's own making (`SET app.tenant`) is in no list that could be restored.
    """
    if all(receiver[0][0] in _OURS for receiver in connection_created.receivers):
        return True
    answers = connection_created.send_robust(sender=type(connection), connection=connection)
    return not any(isinstance(answer, Exception) for _, answer in answers)


def discard(connection: Any) -> None:
    """Close a connection, whatever state it is in, and forget it: the next use makes a new one."""
    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        # It is the database.
        return
    with contextlib.suppress(Exception):
        # Not only given back to a pool of Django's.
        connection.connection.close()
    connection.in_atomic_block = False
    connection.run_on_commit = []
    with contextlib.suppress(Exception):
        connection.close()
    del connections[connection.alias]
