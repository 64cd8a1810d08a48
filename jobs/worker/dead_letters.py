"""Sends the dead letters of jobs that give up, in a thread of its own: a broker that hangs holds up nothing else.

A job is dead when the broker has its letter, and not before; until then its lease is held.
"""

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from django.db import connection
from django.utils import timezone

from jobs.core import outcome as outcomes
from jobs.core.backoff import pause
from jobs.deadletters import codec, publisher
from jobs.ledger import claims
from jobs.worker import forks
from jobs.worker.database import of_the_engine
from jobs.worker.recorder import End

logger = logging.getLogger(__name__)

#: The pauses between two tries while the broker takes no letter, the first and the longest, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0


class DeadLetters:
    """Begins its thread with the first letter.

    Args:
        parked: takes the ends whose letters the broker has.
    """

    def __init__(self, parked: Callable[[Sequence[End]], None]) -> None:
        self._parked = parked
        self._waiting: queue.SimpleQueue[End | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def send(self, ends: Sequence[End]) -> None:
        """Send the letters of these. Any thread may call it."""
        for end in ends:
            self._waiting.put(end)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="jobs-dead-letters", daemon=True)
                self._thread.start()

    def stop(self, seconds: float) -> None:
        """End when all are sent, or after so many seconds."""
        if self._thread is not None:
            self._stopping.set()
            self._waiting.put(None)
            self._thread.join(seconds)

    def _run(self) -> None:
        of_the_engine()
        while (end := self._waiting.get()) is not None:
            self._send_until_taken(end)
        connection.close()

    def _send_until_taken(self, end: End) -> None:
        failures = 0
        while True:
            try:
                with forks.held_off():
                    self._send(end)
            except Exception as exc:  # noqa: BLE001 (whatever it is, the letter is tried again; its lease is held)
                failures += 1
                # The database may have hung up; the next try makes a new connection.
                connection.close()
                if failures == 1:
                    logger.warning("The dead letter of %s could not be sent (%s); it is tried again.", end.job, exc)
                if self._stopping.is_set():
                    return
                time.sleep(pause(failures, FIRST_PAUSE, LONGEST_PAUSE, random.random))
            else:
                return

    def _send(self, end: End) -> None:
        job = end.job.job
        if isinstance(end.outcome, outcomes.Dead) and end.failure and claims.held(job.id, job.lease_id):
            letter = codec.from_job(job, job.attempt, end.outcome.reason, end.failure, timezone.now())
            publisher.post(letter)
        self._parked([replace(end, is_parked=True)])
        if connection.vendor == "sqlite":
            connection.close()
