"""Between a worker's event loop and the ledger: the claims and successes of its pool, in one statement at a time.

A commit waits for the disk, and that wait is most of what a short job costs. What comes while a statement is on its
way goes into the next one, so that many jobs share a commit; and the loop does not wait for any of them. While the
loop does not run, or the database is away, the exchange is closed: pool and housekeeping then write for themselves.

On PostgreSQL only: SQLite's commits are cheap, and its connections must not live over a fork.
"""

import logging
import random
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from django.db import Error as DatabaseError, connection

from jobs.conf import conf
from jobs.core.backoff import pause
from jobs.ledger import exchange as ledger
from jobs.ledger.claims import Claimed
from jobs.worker import forks
from jobs.worker.database import of_the_engine

if TYPE_CHECKING:
    from jobs.worker.async_connection import Line

logger = logging.getLogger(__name__)

#: Seconds from one statement to the next at least, if nobody waits for a claim, so that successes come together.
GATHER = 0.005

#: The pauses between two tries to connect, the first one and the longest, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0

#: How long the end of a statement is waited for where the loop ends, in seconds.
LAST_WAIT = 2.0


class Claims(Protocol):
    """Who asks for claims."""

    def take(self) -> list[Any]:
        """Return the deliveries that shall be claimed."""

    def answered(self, asked: list[Any], claimed: Mapping[str, Claimed], asked_at: float) -> None:
        """Take what was claimed, by lease, and when that was asked for, by the monotonic clock."""

    def unanswered(self, asked: list[Any]) -> None:
        """Take back what may be claimed, or may not."""


class Successes(Protocol):
    """Who has successes."""

    def take(self) -> list[Any]:
        """Return the deliveries that have succeeded."""

    def answered(self, done: list[Any], written: set[str]) -> None:
        """Take the leases whose success is written."""

    def unanswered(self, done: list[Any]) -> None:
        """Take back what may be written, or may not."""


class Exchange:
    """Sends one statement after the other. All but `wake` is called by the worker's main thread."""

    def __init__(self) -> None:
        self._claims: Claims
        self._successes: Successes
        self._hub: Any = None
        self._line: Line | None = None
        self._lock = threading.Lock()
        #: Made by another thread, and not taken into use yet.
        self._new_line: Line | None = None
        self._is_wanted = False
        #: How often in a row the database did not answer.
        self._failures = 0
        self._is_woken = False
        self._sent_at = float("-inf")
        #: What is asked for, and what is done, in the statement on its way.
        self._in_flight: tuple[list[Any], list[Any]] | None = None

    @property
    def is_open(self) -> bool:
        """Whether somebody takes what is to be claimed or written."""
        return self._hub is not None and self._line is not None

    def serve(self, claims: Claims, successes: Successes) -> None:
        """Take from these, and answer them."""
        self._claims, self._successes = claims, successes

    def attach(self, hub: Any) -> None:
        """Begin, now that the loop runs."""
        if connection.vendor != "postgresql":
            return
        with self._lock:
            self._hub = hub
            self._is_woken = False
        if not self._is_wanted:
            self._is_wanted = True
            self._connect()
        self._use_line()

    def detach(self) -> None:
        """Stop, since the loop ends: what is on its way is waited for."""
        self._hub = None
        if self._line is None or self._in_flight is None:
            return
        try:
            rows = self._line.wait(LAST_WAIT)
        except _driver_error() as exc:
            self._broke(exc)
        else:
            self._answer(rows)

    def close(self) -> None:
        """Drop the connection."""
        self.detach()
        with self._lock:
            self._is_wanted = False
            lines = [self._line, self._new_line]
            self._line = self._new_line = None
        for line in lines:
            if line is not None:
                line.close()

    def wake(self) -> None:
        """Note that there is something to claim or to write. Any thread may call it."""
        hub = self._hub
        if hub is not None and not self._is_woken:
            self._is_woken = True
            hub.call_soon(self._turn)

    def _turn(self) -> None:
        self._is_woken = False
        if self._line is None or self._hub is None or self._in_flight is not None:
            return
        asked = self._claims.take()
        early = self._sent_at + GATHER - time.monotonic()
        if not asked and early > 0:
            self._is_woken = True
            self._hub.call_later(early, self._turn)
            return
        done = self._successes.take()
        if not asked and not done:
            return
        self._sent_at = time.monotonic()
        self._in_flight = asked, done
        parameters = ledger.parameters(
            {one.lease_id: one.job_id for one in done},
            {one.lease_id: one.job_id for one in asked},
            conf().lease_seconds,
            (asked or done)[0].hostname,
        )
        try:
            self._line.send(parameters)
        except _driver_error() as exc:
            self._broke(exc)

    def _readable(self) -> None:
        if self._line is None:
            return
        try:
            rows = self._line.receive()
        except _driver_error() as exc:
            self._broke(exc)
            return
        if rows is not None and self._in_flight is not None:
            self._answer(rows)
            self.wake()

    def _answer(self, rows: Any) -> None:
        asked, done = self._landed()
        self._failures = 0
        written, claimed = ledger.answer(rows)
        if done:
            self._successes.answered(done, written)
        if asked:
            self._claims.answered(asked, claimed, self._sent_at)

    def _broke(self, exc: Exception) -> None:
        """Drop the connection, and make another one."""
        logger.warning("The ledger cannot be reached (%s); jobs are claimed and recorded one by one.", str(exc).strip())
        self._failures += 1
        line, self._line = self._line, None
        if line is not None:
            if self._hub is not None:
                self._hub.remove(line)
            line.close()
        asked, done = self._landed()
        self._successes.unanswered(done + self._successes.take())
        self._claims.unanswered(asked + self._claims.take())
        if self._is_wanted:
            self._connect()

    def _landed(self) -> tuple[list[Any], list[Any]]:
        """Return what was on its way, which it is not any more."""
        landed, self._in_flight = self._in_flight or ([], []), None
        return landed

    def _connect(self) -> None:
        threading.Thread(target=self._dial, name="jobs-exchange", daemon=True).start()

    def _dial(self) -> None:
        of_the_engine()
        while self._is_wanted:
            if self._failures:
                time.sleep(pause(self._failures, FIRST_PAUSE, LONGEST_PAUSE, random.random))
            try:
                with forks.held_off():
                    line = _new_line()
            except DatabaseError:
                self._failures += 1
            else:
                self._arrived(line)
                return

    def _arrived(self, line: "Line") -> None:
        with self._lock:
            if not self._is_wanted:
                line.close()
                return
            self._new_line = line
            hub = self._hub
        # Else the loop finds it when it runs again.
        if hub is not None:
            hub.call_soon(self._use_line)

    def _use_line(self) -> None:
        with self._lock:
            hub = self._hub
            if hub is None:
                return
            self._line, self._new_line = self._line or self._new_line, None
        if self._line is not None:
            hub.add_reader(self._line, self._readable)
            self.wake()


def _driver_error() -> type[Exception]:
    """Return the driver's class of errors. Django has loaded psycopg where a line is open, and this module need not."""
    database: Any = connection
    error: type[Exception] = database.Database.Error
    return error


def _new_line() -> "Line":
    # psycopg comes with it, which a worker on SQLite has no use for.
    from jobs.worker.async_connection import Line  # noqa: PLC0415

    return Line(_connected(), ledger.statement())


def _connected() -> Any:
    """Return a connection as Django makes them, which Django does not know of any more."""
    connection.ensure_connection()
    made = connection.connection
    connection.connection = None
    return made


exchange = Exchange()
