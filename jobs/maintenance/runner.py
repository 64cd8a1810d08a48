"""Maintenance in every worker: a bootstep with threads that work through lists of duties.

Any number of workers may do the same duties at once; the ledger sees to it that each row goes to one of them.
There is no leader, no extra process, and it does not need Beat.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from celery import bootsteps
from django.db import Error as DatabaseError, connection

from jobs.conf import conf
from jobs.core import backoff
from jobs.core.queue_names import RULE, is_queue_name
from jobs.tasks.limits import why_ambiguous
from jobs.worker import forks, orphan_guard, shutdown
from jobs.worker.database import is_outage, of_the_engine
from jobs.worker.pending_writes import pending_writes

logger = logging.getLogger(__name__)

#: The longest pause of a duty that keeps failing, in seconds.
LONGEST_PAUSE = 10.0


@dataclass(slots=True)
class Duty:
    """Something to do regularly.

    Attributes:
        run: does it; returns whether there is more to do at once.
        every: seconds between two runs; infinite for what is done only when it is wanted.
        wanted: says whether it is to be done at once.
        longest_pause: the longest pause while it keeps failing, in seconds.
        at_end: whether it is done once more when the worker stops.
    """

    name: str
    run: Callable[[], bool]
    every: float
    wanted: Callable[[], bool] | None = None
    longest_pause: float = LONGEST_PAUSE
    at_end: bool = False
    next_at: float = 0.0
    failures: int = 0

    @property
    def is_due(self) -> bool:
        """Whether its time has come. What has failed waits, however much it is wanted."""
        is_wanted = self.wanted is not None and not self.failures and self.wanted()
        return is_wanted or self.next_at <= time.monotonic()


class DutyThread(threading.Thread):
    """A thread that does duties, one after the other.

    Args:
        duties: what it does.
        wake: when set, it looks at once whether there is something urgent.
        database_failed: told of errors that say that the database cannot be used.
        at_end: called last.
    """

    def __init__(
        self,
        name: str,
        duties: Sequence[Duty],
        *,
        wake: threading.Event | None = None,
        database_failed: Callable[[DatabaseError], None] | None = None,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._duties = duties
        self._wake = wake or threading.Event()
        self._database_failed = database_failed
        self._at_end = at_end
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Do what is due until told to stop."""
        of_the_engine()
        while not self._stop_asked.is_set():
            if any(duty.is_due for duty in self._duties):
                with forks.held_off():
                    for duty in self._duties:
                        if duty.is_due:
                            self._do(duty)
                    _put_away()
            pause = min(duty.next_at for duty in self._duties) - time.monotonic()
            if self._wake.wait(max(0.0, pause)):
                self._wake.clear()
        for duty in self._duties:
            if duty.at_end:
                self._do(duty)
        if self._at_end is not None:
            self._at_end()
        connection.close()

    def stop(self, timeout: float) -> None:
        """Stop after the duty at hand, waiting for it at most `timeout` seconds."""
        self._stop_asked.set()
        self._wake.set()
        if self.is_alive():
            self.join(timeout)

    def _do(self, duty: Duty) -> None:
        try:
            more = duty.run()
        except Exception as exc:  # noqa: BLE001 (a duty must never end the thread; each failure is told and retried)
            self._failed(duty, exc)
            return
        if duty.failures:
            logger.warning("Maintenance %r works again after %d failures.", duty.name, duty.failures)
        duty.failures = 0
        duty.next_at = time.monotonic() + (0 if more else duty.every * (0.9 + 0.2 * random.random()))  # noqa: S311

    def _failed(self, duty: Duty, exc: Exception) -> None:
        duty.failures += 1
        first = min(duty.every, conf().housekeeping_seconds)
        duty.next_at = time.monotonic() + backoff.pause(duty.failures, first, duty.longest_pause, random.random)
        if duty.failures == 1:
            expected = isinstance(exc, (DatabaseError, OSError)) or "Operational" in type(exc).__name__
            logger.warning(
                "Maintenance %r failed, it is tried again: %s: %s",
                duty.name,
                type(exc).__name__,
                exc,
                exc_info=None if expected else exc,
            )
        if self._database_failed is not None and isinstance(exc, DatabaseError) and is_outage(exc):
            self._database_failed(exc)
        connection.close()


def _put_away() -> None:
    """Close what must not be carried over a fork: an open SQLite connection."""
    if connection.vendor == "sqlite":
        connection.close()


def _check_queues(names: Iterable[str]) -> None:
    """End the worker at its start, with one line, where it shall consume what is no queue of jobs."""
    for name in names:
        if not is_queue_name(name):
            raise SystemExit(f"This worker cannot consume queue {name!r}: it must be {RULE}. See --queues.")


def _check_limits() -> None:
    """End the worker at its start where two tasks of one name declare different limits."""
    if why := why_ambiguous():
        raise SystemExit(f"This worker cannot start: {why}")


class Maintenance(bootsteps.StartStopStep):
    """The worker's bootstep: starts the threads after the pool, and ends the worker's jobs in order when it stops."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        _check_queues(worker.app.amqp.queues.consume_from)
        _check_limits()
        self._threads: list[DutyThread] = []
        self._pid = 0

    def start(self, worker: Any) -> None:
        """Called when the worker starts."""
        # Its duties use models, which are loaded by now; the application, which names this step, comes before them.
        from jobs.maintenance.duties import Duties  # noqa: PLC0415

        self._pid = os.getpid()
        orphan_guard.give_signs()
        duties = Duties(worker)
        self._threads = [
            DutyThread(
                "jobs-maintenance",
                duties.others(),
                wake=pending_writes.arrived,
                database_failed=duties.database_failed,
                at_end=duties.close,
            ),
            DutyThread("jobs-leases", duties.vital()),
            DutyThread("jobs-logs", duties.logs()),
            DutyThread("jobs-unhurried", duties.unhurried()),
        ]
        for thread in self._threads:
            thread.start()
        worker.consumer.engine.start()
        shutdown.bound(worker, conf().shutdown_seconds, duties.leave)

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:
        """Called whenever the worker's loop begins, after each connection to the broker."""
        worker.consumer.engine.main.attach(hub)

    def stop(self, worker: Any) -> None:
        """Called when the worker stops, after its consumer: nothing new comes in, what runs may finish.

        The pool is joined here, not in its own step after this one: leases must be renewed until it is empty.
        """
        worker.consumer.engine.stop()
        worker.pool.stop()
        self._end(worker)

    def terminate(self, worker: Any) -> None:
        """Called when the worker stops for good: nothing may run on, and then it is handed back."""
        worker.consumer.engine.stop()
        worker.pool.terminate()
        self._end(worker)

    def _end(self, worker: Any) -> None:
        threads, self._threads = self._threads, []
        if threads and self._pid == os.getpid():
            worker.consumer.engine.end()
            for thread in threads:
                thread.stop(timeout=3)
            shutdown.hand_back(worker.consumer.engine.reserved)
