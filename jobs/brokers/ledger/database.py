"""A consumer's own connection to the database: what PostgreSQL notifies, what SQLite's change counter says."""

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.ledger.notify import CHANNEL, GONE, own_connection, rows

#: What happens when everything may have changed.
ANYTHING = "*"

#: How long a consumer waits for SQLite's lock, in milliseconds: it has other things to do, and tries again.
BUSY_TIMEOUT = 250


class Link:
    """A consumer's own connection: it listens, and is never inside somebody's transaction. Opened when needed."""

    def __init__(self) -> None:
        self._database: BaseDatabaseWrapper | None = None
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._notices: deque[str] = deque()
        self._version: int | None = None
        self._fileno: int | None = None
        #: Called with the file number of a connection that is about to be closed.
        self.on_close: Callable[[int], object] | None = None
        _links.add(self)

    @contextmanager
    def use(self) -> Iterator[BaseDatabaseWrapper]:
        """Give the open connection. After an error it is closed, and opened anew the next time."""
        with self._lock:
            if self._pid != os.getpid():
                # A fork's copy of the parent's connection: not ours to use or to close.
                self._database, self._fileno, self._pid = None, None, os.getpid()
            try:
                if self._database is None:
                    self._database = self._opened()
                yield self._database
            except GONE:
                self.close()
                raise

    def _opened(self) -> BaseDatabaseWrapper:
        database = own_connection()
        if database.vendor == "postgresql":
            rows(database, f"LISTEN {CHANNEL}")
            raw: Any = database.connection
            raw.add_notify_handler(lambda notice: self._notices.append(notice.payload))
            self._fileno = raw.fileno()
        else:
            rows(database, f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")
            # What is written here is not worth waiting for the disk: after a power cut it is delivered again.
            rows(database, "PRAGMA synchronous = NORMAL")
            self._version = None
        self._notices.append(ANYTHING)
        return database

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._database is not None

    def fileno(self) -> int | None:
        """Return what becomes readable when something is to be heard; None where it must be asked for."""
        return self._fileno

    def heard(self) -> set[str]:
        """Return what there is news of since the last call."""
        with self.use() as database:
            if database.vendor == "postgresql":
                self._read_notices(database)
            else:
                ((version,),) = rows(database, "PRAGMA data_version")
                if version != self._version:
                    self._version = version
                    self._notices.append(ANYTHING)
        notices = set()
        while self._notices:
            notices.add(self._notices.popleft())
        return notices

    def _read_notices(self, database: BaseDatabaseWrapper) -> None:
        raw: Any = database.connection
        with database.wrap_database_errors:
            raw.pgconn.consume_input()
            while (notice := raw.pgconn.notifies()) is not None:
                self._notices.append(notice.extra.decode())

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            database, self._database = self._database, None
            fileno, self._fileno = self._fileno, None
            if database is None or self._pid != os.getpid():
                return
            if self.on_close is not None and fileno is not None:
                self.on_close(fileno)
            try:
                database.close()
            except GONE:
                pass

    def before_fork(self) -> None:
        """Close a connection to SQLite: its locks are the process's, and a fork's copy would corrupt them."""
        database = self._database
        if database is not None and database.vendor == "sqlite":
            self.close()

    def after_fork(self) -> None:
        """Forget a lock that another thread of the parent may hold."""
        self._lock = threading.RLock()


_links: "weakref.WeakSet[Link]" = weakref.WeakSet()


def _before_fork() -> None:
    for link in list(_links):
        link.before_fork()


def _after_fork() -> None:
    for link in list(_links):
        link.after_fork()


os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
