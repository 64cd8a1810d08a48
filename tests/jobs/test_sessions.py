"""What a task does to its database sessions ends with it, on every connection that it has."""

import copy
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs import job
from jobs.core.states import State
from jobs.models import Job, Queue
from jobs.worker import sessions
from tests.jobs.delivery import deliver
from tests.servers import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

#: What the task does.
acts: list[Callable[[], object]] = []


@job(name="tests.session", max_retries=0)
def using() -> None:
    """Do as the test says."""
    for act in acts:
        act()


@pytest.fixture(autouse=True)
def fresh(valkey: Valkey) -> Iterator[None]:
    """Nothing is to be done, and no session is old."""
    acts.clear()
    connections.close_all()
    yield
    acts.clear()
    connections.close_all()


@pytest.fixture
def other() -> Iterator[str]:
    """A second alias."""
    connections.settings["other"] = copy.deepcopy(connections.settings["default"])
    yield "other"
    connections["other"].close()
    del connections["other"]
    del connections.settings["other"]


def ran(*does: Callable[[], object]) -> Job:
    """Run a job that does this, and return it."""
    acts[:] = does
    row: Job = using.delay().job
    deliver(row)
    return row


def _connected(alias: str) -> BaseDatabaseWrapper:
    """Return a connection that is open. Django's tests let none be opened by itself that they do not know."""
    one: BaseDatabaseWrapper = connections[alias]
    if one.connection is None:
        one.connect()
    return one


def do(statement: str, alias: str = "default") -> Callable[[], list[tuple[Any, ...]]]:
    """Return what runs a statement."""

    def run() -> list[tuple[Any, ...]]:
        with _connected(alias).cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    return run


def raw(act: Callable[[Any], object], alias: str = "default") -> Callable[[], object]:
    """Return what is done with the driver's connection."""

    def run() -> object:
        return act(_connected(alias).connection)

    return run


def in_a_transaction(session: psycopg.Connection) -> None:
    with session.transaction():
        session.execute("SET statement_timeout = '7s'")


def in_a_pipeline(session: psycopg.Connection) -> None:
    with session.pipeline():
        session.execute("SET statement_timeout = '7s'")


#: All that a session of PostgreSQL can be asked about itself, but what the driver keeps there.
STATE = """
    SELECT session_user, current_user, current_schemas(false)::text, current_setting('search_path'),
           pg_my_temp_schema() <> 0 AND EXISTS (
               SELECT 1 FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
           (SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE source = 'session'
             AND name <> 'app.tenant'), COALESCE(current_setting('app.tenant', true), ''),
           (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),
           (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_cursors WHERE is_holdable),
           (SELECT count(*) FROM pg_prepared_statements WHERE from_sql)
"""

POSTGRESQL: dict[str, Callable[[], object]] = {
    "a role": do("SET ROLE pg_monitor"),
    "a user": do("SET SESSION AUTHORIZATION pg_monitor"),
    "a time limit": do("SET statement_timeout = '7s'"),
    "a search path": do("SET search_path = pg_catalog"),
    "read-only mode": do("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"),
    "isolation": do("SET default_transaction_isolation = 'serializable'"),
    "a setting of its own": do("SET app.tenant = '7'"),
    "a setting by a function": do("SELECT set_config('app.tenant', '7', false)"),
    "a setting in a function": do("DO $$ BEGIN PERFORM set_config('app.tenant', '7', false); END $$"),
    "a time zone": do("SET TIME ZONE 'Asia/Tokyo'"),
    "a temporary table": do("CREATE TEMP TABLE jobs_job (id int)"),
    "an advisory lock": do("SELECT pg_advisory_lock(7)"),
    "a channel": do("LISTEN news"),
    "a cursor": do("DECLARE held CURSOR WITH HOLD FOR SELECT 1"),
    "a prepared statement": do("PREPARE asked AS SELECT 1"),
    "an open transaction": do("BEGIN"),
    "a broken transaction": do("BEGIN; SELECT 1"),
    "no autocommit": lambda: (transaction.set_autocommit(False), do("SELECT 1")()),
    "raw, read-only": raw(lambda it: setattr(it, "read_only", True)),
    "raw, no autocommit": raw(lambda it: (it.set_autocommit(False), it.execute("SELECT 1"))),
    "raw, a pipeline": raw(lambda it: it.pgconn.enter_pipeline_mode()),
    "raw, a setting": raw(lambda it: it.execute("SET statement_timeout = '7s'")),
    "raw, a setting in a transaction": raw(in_a_transaction),
    "raw, a setting in a pipeline": raw(in_a_pipeline),
    "raw, a setting by another kind of cursor": raw(
        lambda it: psycopg.ClientCursor(it).execute("SET statement_timeout = 7")
    ),
    "raw, a setting by a cursor made without it": raw(
        lambda it: psycopg.Cursor(it).execute("SET statement_timeout = 7")
    ),
}


def fails() -> None:
    raise ValueError("it failed")


@pytest.mark.postgres_only
@pytest.mark.parametrize("end", [lambda: None, fails], ids=["succeeds", "fails"])
@pytest.mark.parametrize("what", POSTGRESQL)
def test_nothing_of_a_session_is_left_to_the_next_job(what: str, end: Callable[[], None]) -> None:
    [before] = do(STATE)()
    row = ran(POSTGRESQL[what], end)
    assert row.state == (State.SUCCEEDED if end is not fails else State.DEAD)
    after: list[Any] = []
    assert ran(lambda: after.extend(do(STATE)()), lambda: Queue.objects.create(name="written")).state == State.SUCCEEDED
    assert after == [before]
    assert connection.get_autocommit()
    assert Queue.objects.filter(name="written").exists()


@pytest.mark.postgres_only
@pytest.mark.parametrize("what", POSTGRESQL)
def test_so_it_is_on_every_alias(what: str, other: str) -> None:
    [before] = do(STATE, other)()
    ran(do("SELECT 1", other), lambda: _at(other, POSTGRESQL[what]))
    assert do(STATE, other)() == [before]
    assert connections[other].get_autocommit()


def _at(alias: str, act: Callable[[], object]) -> None:
    """Do with another alias what is written for the default one."""
    default, connections["default"] = connections["default"], _connected(alias)
    try:
        act()
    finally:
        connections["default"] = default


def leave_a_write_open() -> None:
    transaction.set_autocommit(False)
    Queue.objects.create(name="left open")


@pytest.mark.parametrize("end", [lambda: None, fails], ids=["succeeds", "fails"])
def test_a_transaction_left_open_is_rolled_back_and_holds_nobody_up(end: Callable[[], None]) -> None:
    row = ran(leave_a_write_open, end)
    assert not Queue.objects.exists()
    # The end of the attempt is no part of it.
    row.refresh_from_db()
    assert row.is_final
    assert ran(lambda: Queue.objects.create(name="next")).state == State.SUCCEEDED
    assert Queue.objects.count() == 1


SQLITE: dict[str, Callable[[], object]] = {
    "read-only mode": do("PRAGMA query_only = ON"),
    "no foreign keys": do("PRAGMA foreign_keys = OFF"),
    "no waiting": do("PRAGMA busy_timeout = 1"),
    "another database": do("ATTACH DATABASE ':memory:' AS aside"),
    "a temporary table": do("CREATE TEMP TABLE jobs_job (id int)"),
    "a temporary table, as a schema": do("CREATE TABLE temp.jobs_job (id int)"),
    "a temporary view, as a schema": do("CREATE VIEW temp.jobs_job AS SELECT 1"),
    "a temporary trigger": do("CREATE TEMP TRIGGER no BEFORE INSERT ON jobs_queue BEGIN SELECT RAISE(IGNORE); END"),
    "a temporary view": do("CREATE TEMP VIEW jobs_job AS SELECT 1"),
    "an open transaction": do("BEGIN"),
    "raw, no foreign keys": raw(lambda it: it.execute("/* really */ PRAGMA foreign_keys(0)")),
    "raw, an open transaction": raw(lambda it: it.execute("BEGIN IMMEDIATE")),
    "raw, another factory": raw(lambda it: setattr(it, "row_factory", sqlite3.Row)),
}
PRAGMAS = ("query_only", "foreign_keys", "busy_timeout", "database_list")


def sqlite_state() -> list[Any]:
    names = do("SELECT name FROM sqlite_temp_master")()
    return [names, *(do(f"PRAGMA {name}")() for name in PRAGMAS)]


@pytest.mark.sqlite_only
@pytest.mark.parametrize("what", SQLITE)
def test_nothing_of_a_session_with_sqlite_is_left_to_the_next_job(what: str) -> None:
    before = sqlite_state()
    assert ran(SQLITE[what]).state == State.SUCCEEDED
    after: list[Any] = []
    assert ran(lambda: after.append(sqlite_state()), lambda: Queue.objects.create(name="written")).state == "succeeded"
    assert after == [before]
    assert Queue.objects.count() == 1


def test_what_a_new_connection_is_given_stays() -> None:
    """Receivers of `connection_created` set roles, paths and time limits."""
    from django.db.backends.signals import connection_created  # noqa: PLC0415

    def give(connection: BaseDatabaseWrapper, **_: Any) -> None:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET app.tenant = 'given'")
                cursor.execute("SET statement_timeout = '9s'")

    connection_created.connect(give)
    try:
        connections.close_all()
        do("SELECT 1")()
        seen: list[object] = []
        asked = "SELECT current_setting('app.tenant'), current_setting('statement_timeout')"
        for change in ("SET app.tenant = 'x'", "RESET statement_timeout", "SELECT 1"):
            if connection.vendor == "postgresql":
                ran(lambda: seen.extend(do(asked)()), do(change))
        assert set(seen) <= {("given", "9s")}
    finally:
        connection_created.disconnect(give)


def test_a_clean_connection_is_kept() -> None:
    do("SELECT 1")()
    kept: list[object] = []
    for _ in range(3):
        ran(Queue.objects.count, lambda: kept.append(connection.connection))
    assert len(set(map(id, kept))) == 1


@pytest.mark.postgres_only
def test_what_is_done_over_a_cursor_kept_from_an_earlier_task_ends_with_the_later_one() -> None:
    [before] = do(STATE)()
    kept: list[Any] = []
    for act in (lambda: kept.append(connection.cursor()), lambda: kept[0].execute("SET ROLE pg_monitor")):
        with sessions.of_a_task():
            act()
    assert do(STATE)() == [before]


@pytest.mark.postgres_only
def test_prepared_statements_of_the_engine_are_kept() -> None:
    do("SELECT 1")()
    prepared = do("SELECT count(*) FROM pg_prepared_statements")
    for _ in range(5):
        ran(Queue.objects.count)
    assert prepared()[0][0] > 0


@pytest.mark.postgres_only
def test_a_connection_that_the_server_has_closed_is_replaced_before_the_body() -> None:
    do("SELECT 1")()
    ran(do("SELECT 1"))
    row = using.delay().job
    acts[:] = [lambda: Queue.objects.create(name="written")]
    session = connection.connection
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [session.info.backend_pid])
    other.close()
    with sessions.of_a_task():
        assert Queue.objects.count() == 0
    deliver(row)
    assert row.state == State.SUCCEEDED


def test_the_callers_transaction_is_his() -> None:
    with transaction.atomic():
        session = connection.connection
        ran(lambda: Queue.objects.create(name="written"))
        assert connection.connection is session
        transaction.set_rollback(True)
    assert not Queue.objects.exists()
