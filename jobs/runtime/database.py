"""Waiting for a database that is away for a while."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, InternalError, OperationalError, connection

from jobs.ledger.sql import RowLocked

T = TypeVar("T")

#: The first pause between two tries, and the longest, in seconds.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0


#: How long an attempt waits for a database that is gone, before it begins and after it ended, in seconds. Both
#: together stay well below the default time limit, which counts from the beginning.
PATIENCE_BEFORE = 8.0
PATIENCE_AFTER = 5.0

#: What says that the database cannot be used now: gone, full, or read-only (PostgreSQL calls that internal).
UNUSABLE = (OperationalError, InterfaceError, InternalError)


class DatabaseGone(Exception):
    """Raised when the database did not come back in time."""


def patiently(act: Callable[[bool], T], patience: float) -> T:
    """Do something with the database, again after a connection error, for `patience` seconds.

    Rows that somebody else's transaction holds are waited for likewise.

    Args:
        act: gets told whether an answer was lost before: then what was asked for may have been committed.
        patience: seconds.

    Raises:
        DatabaseGone: the database did not come back in time.
    """
    deadline = time.monotonic() + patience
    pause = FIRST_PAUSE
    again = False
    while True:
        try:
            return act(again)
        except (*UNUSABLE, RowLocked) as exc:
            if not isinstance(exc, RowLocked):
                connection.close()
                again = True
            if time.monotonic() + pause > deadline:
                raise DatabaseGone(str(exc).strip() or type(exc).__name__) from exc
        time.sleep(pause * (0.5 + random.random()))  # noqa: S311 (jitter, no secret)
        pause = min(LONGEST_PAUSE, pause * 2)
