"""Housekeeping in every worker: a bootstep with one thread that works through a list of duties.

Any number of workers may do the same duties at once; the ledger sees to it that each row goes to one of them.
There is no leader, no extra process, and it does not need Beat.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import bootsteps
from django.db import Error as DatabaseError, connection

from jobs.conf import conf
from jobs.runtime import forks, shutdown
from jobs.runtime.database import UNUSABLE
from jobs.runtime.losses import losses

logger = logging.getLogger(__name__)

#: The longest pause of a duty that keeps failing, in seconds.
LONGEST_PAUSE = 10.0


@dataclass(slots=True)
class Duty:
    """Something to do regularly.

    Attributes:
        run: does it; returns whether there is more to do at once.
        every: seconds between two runs.
    """

    name: str
    run: Callable[[], bool]
    every: float
    next_at: float = 0.0
    failures: int = 0


class Housekeeper(threading.Thread):
    """The thread that does a worker's duties, one after the other."""

    def __init__(self, household: Any) -> None:
        super().__init__(name="jobs-housekeeping", daemon=True)
        self._stop_asked = threading.Event()
        self._household = household
        self._duties: list[Duty] = household.duties()

    def run(self) -> None:
        """Do what is due until told to stop."""
        while not self._stop_asked.is_set():
            now = time.monotonic()
            due = [duty for duty in self._duties if duty.next_at <= now or self._is_urgent(duty)]
            if due:
                with forks.held_off():
                    for duty in due:
                        self._do(duty)
                    _put_away()
            pause = min(duty.next_at for duty in self._duties) - time.monotonic()
            if losses.arrived.wait(max(0.0, pause)):
                losses.arrived.clear()
        self._household.close()
        connection.close()

    def stop(self, timeout: float) -> None:
        """Stop after the duty at hand, waiting for it at most `timeout` seconds."""
        self._stop_asked.set()
        losses.arrived.set()
        if self.is_alive():
            self.join(timeout)

    def _is_urgent(self, duty: Duty) -> bool:
        return duty.name == "losses" and not duty.failures and bool(losses.unwritten())

    def _do(self, duty: Duty) -> None:
        try:
            more = duty.run()
        except Exception as exc:  # noqa: BLE001 (a duty must never end the thread; each failure is told and retried)
            self._failed(duty, exc)
            return
        if duty.failures:
            logger.warning("Housekeeping %r works again after %d failures.", duty.name, duty.failures)
        duty.failures = 0
        duty.next_at = time.monotonic() + (0 if more else duty.every * (0.9 + 0.2 * random.random()))  # noqa: S311

    def _failed(self, duty: Duty, exc: Exception) -> None:
        duty.failures += 1
        pause = min(LONGEST_PAUSE, duty.every * 2 ** min(duty.failures - 1, 8)) * (0.5 + random.random())  # noqa: S311
        duty.next_at = time.monotonic() + pause
        if duty.failures == 1:
            expected = isinstance(exc, (DatabaseError, OSError)) or "Operational" in type(exc).__name__
            logger.warning(
                "Housekeeping %r failed, it is tried again: %s: %s",
                duty.name,
                type(exc).__name__,
                exc,
                exc_info=None if expected else exc,
            )
        if isinstance(exc, UNUSABLE):
            self._household.database_failed(exc)
        connection.close()


def _put_away() -> None:
    """Close what must not be carried over a fork: an open SQLite connection."""
    if connection.vendor == "sqlite":
        connection.close()


class Housekeeping(bootsteps.StartStopStep):
    """The worker's bootstep: starts the thread after the pool, and ends the worker's jobs in order when it stops."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._housekeeper: Housekeeper | None = None
        self._pid = 0

    def start(self, worker: Any) -> None:
        """Called when the worker starts."""
        # Its duties use models, which are loaded by now; the application, which names this step, comes before them.
        from jobs.runtime.household import Household  # noqa: PLC0415

        self._pid = os.getpid()
        self._housekeeper = Housekeeper(Household(worker))
        self._housekeeper.start()
        shutdown.bound(worker, conf().shutdown_seconds)

    def stop(self, worker: Any) -> None:
        """Called when the worker stops, after its consumer: nothing new comes in, what runs may finish.

        The pool is joined here, not in its own step after this one: leases must be renewed until it is empty.
        """
        worker.pool.stop()
        self._end()

    def terminate(self, worker: Any) -> None:
        """Called when the worker stops for good: nothing may run on, and then it is handed back."""
        worker.pool.terminate()
        self._end()

    def _end(self) -> None:
        housekeeper, self._housekeeper = self._housekeeper, None
        if housekeeper is not None and self._pid == os.getpid():
            housekeeper.stop(timeout=3)
            shutdown.hand_back()
