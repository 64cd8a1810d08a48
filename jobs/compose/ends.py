"""Hearing that jobs have ended, in a process that waits for some: PostgreSQL tells it, so that it need not ask again.

A job that somebody waits for has a row in `jobs_waiter`, which the statement finds that records the job's end; for the
others nothing is done. Where nobody tells, on SQLite, through a pooler or while the connection is lost, one looks by
oneself, and the pauses between two looks grow.
"""

import logging
import os
import select
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable
from contextlib import closing
from math import isnan
from types import TracebackType
from typing import Any, Self

from django.db import Error as DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.ledger import waiters
from jobs.ledger.notify import own_connection, rows
from jobs.ledger.wakeup import Wakeup

logger = logging.getLogger(__name__)

#: The first pause between two looks, in seconds; later ones are a tenth of the time waited.
FIRST_PAUSE = 0.005

#: What ends sooner than this, in seconds, is not worth a connection: it is looked for.
LISTEN_AFTER = 0.05

#: How long the connection is kept while nobody waits, and the pause until the next where it is of no use, in seconds.
IDLE_SECONDS, USELESS_SECONDS = 5.0, 60.0

#: The pause after a lost connection, in seconds.
LOST_SECONDS = 1.0


def check_timeout(timeout: object) -> None:
    """Raise ValueError for what is no time to wait; None is for ever, and below zero there is no time left."""
    if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or isnan(timeout)):
        raise ValueError(f"timeout={timeout!r} is not valid: it must be seconds, or None to wait for the end.")


class Pauses:
    """The pauses of somebody who waits for jobs. They grow; the end of the job that is named cuts one short.

    Args:
        interval: the longest, in seconds.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._began_at = self._growing_since = time.monotonic()
        self._job_id: uuid.UUID | None = None
        self._heard: threading.Event | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listen_for(None)

    def pause(self, left: float, job_id: uuid.UUID | None) -> None:
        """Pause, for `left` seconds at most.

        Args:
            left: until the caller's time is over, in seconds.
            job_id: of a job whose end is worth a look; None where there is no job yet.
        """
        now = time.monotonic()
        if now - self._began_at >= LISTEN_AFTER:
            self._listen_for(job_id)
        seconds = max(0.0, min(max(FIRST_PAUSE, (now - self._growing_since) / 10), self._interval, left))
        if self._heard is None:
            time.sleep(seconds)
        elif self._heard.wait(seconds):
            self._heard.clear()

    def _listen_for(self, job_id: uuid.UUID | None) -> None:
        if job_id == self._job_id:
            return
        if self._heard is not None and self._job_id is not None:
            listener.leave(self._job_id, self._heard)
        self._job_id, self._heard = job_id, None
        if job_id is not None and connection.vendor == "postgresql":
            self._heard = listener.await_end(job_id)
            # An end that is recorded at this moment may not see the note: one looks as at the beginning.
            self._growing_since = time.monotonic()


class _Listener:
    """The one connection of this process that hears of ends, and its thread: both are there while somebody waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._awaited: dict[uuid.UUID, list[threading.Event]] = {}
        #: The notes in the ledger of what is awaited. Used by the thread.
        self._notes: dict[uuid.UUID, int] = {}
        #: What wakes the thread; None where there is none.
        self._wake: Wakeup | None = None
        self._thread: threading.Thread | None = None
        self._is_stopping = False

    def await_end(self, job_id: uuid.UUID) -> threading.Event:
        """Return what is set when a look at this job is worth it."""
        event = threading.Event()
        with self._lock:
            self._awaited.setdefault(job_id, []).append(event)
            if self._wake is None:
                self._wake = Wakeup()
                self._is_stopping = False
                self._thread = threading.Thread(target=self._serve, args=[self._wake], name="jobs-ends", daemon=True)
                self._thread.start()
            else:
                self._wake.set()
        return event

    def leave(self, job_id: uuid.UUID, event: threading.Event) -> None:
        """Wait no more."""
        with self._lock:
            events = self._awaited.get(job_id, [])
            if event in events:
                events.remove(event)
            if not events:
                self._awaited.pop(job_id, None)
            if self._wake is not None:
                self._wake.set()

    def stop(self) -> None:
        """Close the connection now, unless somebody waits: a test's database is to be dropped."""
        with self._lock:
            thread = self._thread
            if thread is None or self._wake is None or self._awaited:
                return
            self._is_stopping = True
            self._wake.set()
        thread.join(10)

    def abandon(self) -> None:
        """Close what a fork has copied."""
        if self._wake is not None:
            self._wake.close()

    # --- The thread -------------------------------------------------------------------------------

    def _serve(self, woken: Wakeup) -> None:
        while not self._is_over():
            try:
                with closing(own_connection()) as database:
                    if _is_pooled(database):
                        self._sleep(USELESS_SECONDS, woken)
                    else:
                        self._listen(database, woken)
            except DatabaseError:
                logger.warning("Ends of jobs are not heard of for now, but looked for.", exc_info=True)
                self._sleep(LOST_SECONDS, woken)

    def _is_over(self) -> bool:
        """Return whether nobody waits; then there is no thread any more."""
        with self._lock:
            if self._awaited:
                return False
            if self._wake is not None:
                self._wake.close()
            self._wake = None
            return True

    def _sleep(self, seconds: float, woken: Wakeup) -> None:
        until = time.monotonic() + seconds
        while self._awaited and (left := until - time.monotonic()) > 0:
            _is_readable([woken], left)
            woken.clear()

    def _listen(self, database: BaseDatabaseWrapper, woken: Wakeup) -> None:
        """Tell of ends until nobody has waited for a while. Raises DatabaseError where the connection is lost."""
        heard: deque[str] = deque()
        raw: Any = database.connection
        # What comes while another statement is on its way.
        raw.add_notify_handler(lambda notice: heard.append(notice.payload))
        waiters.listen(database)
        # Those that were made over a connection that is lost.
        waiters.withdraw(database, self._notes.values())
        self._notes.clear()
        while True:
            self._note(database)
            _read(database, heard)
            while heard:
                self._tell([uuid.UUID(heard.popleft())])
            if self._is_stopping and not self._notes:
                return
            if not _is_readable([raw, woken], None if self._notes else IDLE_SECONDS):
                return
            woken.clear()

    def _note(self, database: BaseDatabaseWrapper) -> None:
        with self._lock:
            awaited = set(self._awaited)
        if new := awaited - self._notes.keys():
            self._notes.update(waiters.register(database, new))
            # What ended before the note was there has told nobody.
            self._tell(new)
        if left := self._notes.keys() - awaited:
            waiters.withdraw(database, [self._notes.pop(job_id) for job_id in left])

    def _tell(self, job_ids: Iterable[uuid.UUID]) -> None:
        with self._lock:
            for job_id in job_ids:
                for event in self._awaited.get(job_id, ()):
                    event.set()


def _is_pooled(database: BaseDatabaseWrapper) -> bool:
    """Return whether a pooler stands between: it may give each transaction another connection, and none hears then."""
    raw: Any = database.connection
    ((pid,),) = rows(database, "SELECT pg_backend_pid()")
    return bool(pid != raw.info.backend_pid)


def _read(database: BaseDatabaseWrapper, heard: deque[str]) -> None:
    raw: Any = database.connection
    with database.wrap_database_errors:
        raw.pgconn.consume_input()
        while (notice := raw.pgconn.notifies()) is not None:
            heard.append(notice.extra.decode())


def _is_readable(ends: Iterable[Any], seconds: float | None) -> bool:
    waiting = select.poll()
    for end in ends:
        waiting.register(end, select.POLLIN)
    return bool(waiting.poll(None if seconds is None else 1000 * seconds))


listener = _Listener()


def _after_fork() -> None:
    """Begin anew: the thread is the parent's, and so is its connection."""
    global listener  # noqa: PLW0603 (a fork's copy is of no use)
    listener.abandon()
    listener = _Listener()


os.register_at_fork(after_in_child=_after_fork)
