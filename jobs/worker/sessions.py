"""What a task leaves behind in its database sessions ends with it, and a dead session is replaced before a task begins.

A connection costs more than most jobs, so it is kept from one to the next, and yet the next one must not find a
transaction left open, another role, a time limit, a temporary table or a lock. After each body every connection that
the thread has and the body used is brought back to what it was when it was new, in one round trip, and its answer is
the proof; one of which that cannot be said is closed. Before each body a look at the socket tells whether the server
has hung up.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from celery import signals
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from jobs.worker import proofs

#: Names our receivers of signals.
_UID = "jobs.sessions"

#: What a thread's task has besides its own connections: those that are its caller's, and one for the engine.
_local = threading.local()


def guard() -> None:
    """Watch over the connections of this worker's tasks, those that are no jobs included."""
    connection_created.connect(_opened, dispatch_uid=_UID)
    signals.task_prerun.connect(_before_task, dispatch_uid=_UID)
    signals.task_postrun.connect(_after_task, dispatch_uid=_UID)


@contextlib.contextmanager
def of_a_task() -> Iterator[None]:
    """Run a task's body between living connections and clean ones, of every alias.

    Where the caller has a transaction open already, as tests have, that connection is his.
    """
    callers = _begin()
    _local.callers = callers
    try:
        yield
    finally:
        _local.callers = set()
        _close_aside()
        _end(callers)


def for_the_engine() -> BaseDatabaseWrapper:
    """Return the connection over which the engine writes while a body runs.

    It is the task's own, unless that is in a transaction: what is written in there nobody sees before it ends, and the
    row stays locked. On SQLite nobody else could write meanwhile.
    """
    own: BaseDatabaseWrapper = connections[DEFAULT_DB_ALIAS]
    is_free = not own.in_atomic_block and own.autocommit
    if own.vendor == "sqlite" or DEFAULT_DB_ALIAS in getattr(_local, "callers", ()) or is_free:
        return own
    aside: BaseDatabaseWrapper | None = getattr(_local, "aside", None)
    if aside is None:
        aside = _local.aside = connections.create_connection(DEFAULT_DB_ALIAS)
    return aside


def _close_aside() -> None:
    aside = getattr(_local, "aside", None)
    if aside is not None:
        _local.aside = None
        aside.close()


def _begin() -> set[str]:
    callers = set()
    for connection in _open_ones():
        if connection.in_atomic_block:
            callers.add(connection.alias)
        elif not proofs.lives(connection):
            proofs.discard(connection)
        elif not proofs.is_known(connection):
            proofs.take_note(connection)
    return callers


def _end(callers: set[str]) -> None:
    for connection in _open_ones():
        if connection.alias not in callers and not proofs.is_clean(connection):
            proofs.discard(connection)


def _before_task(sender: Any, **_: Any) -> None:
    if not sender.request.is_eager:
        _begin()


def _after_task(sender: Any, **_: Any) -> None:
    # A job's own are clean since its body ended; but handlers of its end may have used them too.
    if not sender.request.is_eager:
        _end(set())


def _open_ones() -> list[BaseDatabaseWrapper]:
    # One that was closed within a transaction waits for its end.
    found = connections.all(initialized_only=True)
    return [one for one in found if one.connection is not None or one.in_atomic_block]


def _opened(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if not proofs.is_known(connection):
        proofs.take_note(connection)
