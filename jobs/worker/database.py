"""Waiting for a database that is away for a while."""

import threading
from typing import Any, TypeVar

from django.db import InterfaceError, InternalError, OperationalError
from django.db.backends.signals import connection_created

T = TypeVar("T")

#: The first pause between two tries, and the longest, in seconds.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


#: What says that the database cannot be used now: gone, full, or read-only (PostgreSQL calls that internal).
UNUSABLE = (OperationalError, InterfaceError, InternalError)


#: How long a statement of the worker's own threads waits for a lock, where it waits for any.
LOCK_TIMEOUT = "2s"

_threads = threading.local()


def of_the_engine() -> None:
    """Give this thread's connections the engine's own settings, whatever the role's are. Called as it begins.

    Its statements are alone in their transactions, and need no more isolation than READ COMMITTED gives them: under
    another level they would fail where they meet. All that they look for is in an index. A plan that the server made
    while the table was small, and keeps, would otherwise read all of it when it has grown, for each job that is named.
    """
    _threads.is_of_the_engine = True
    connection_created.connect(_settle, dispatch_uid="jobs.database")


def _settle(connection: Any, **_: Any) -> None:
    if not getattr(_threads, "is_of_the_engine", False) or connection.vendor != "postgresql":
        return
    # Behind a pooler a session is everybody's: there what is in the way is tried again.
    if connection.connection.prepare_threshold is not None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('default_transaction_isolation', 'read committed', false),"
                " set_config('lock_timeout', %s, false), set_config('enable_seqscan', 'off', false)",
                [LOCK_TIMEOUT],
            )


def is_outage(error: BaseException) -> bool:
    """Return whether an error says that the database cannot be used, and not only that two were in each other's way."""
    state: str = getattr(error.__cause__, "sqlstate", None) or ""
    return isinstance(error, UNUSABLE) and not state.startswith(("40", "55P03"))
