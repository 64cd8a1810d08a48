"""Sends the dead letters of jobs that give up, in a thread of its own: a broker that hangs holds up nothing else.

A job is dead when the broker has its letter, and not before; until then its lease is held.
"""

import logging
import queue
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from django.db import connection
from django.utils import timezone

from jobs.core import outcome as outcomes
from jobs.core.backoff import pause
from jobs.deadletters import codec, publisher
from jobs.ledger.put_back import leases_of
from jobs.worker import forks
from jobs.worker.database import of_the_engine
from jobs.worker.recorder import End

logger = logging.getLogger(__name__)

#: The pauses between two tries while the broker takes no letter, the first and the longest, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0

#: At most so many letters are sent together.
BATCH = 100


class DeadLetters:
    """Begins its thread with the first letter.

    Args:
        parked: takes the ends whose letters the broker has.
    """

    def __init__(self, parked: Callable[[Sequence[End]], None]) -> None:
        self._parked = parked
        self._arrived: queue.SimpleQueue[End | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        #: Those whose letters the broker has not taken, and how often in a row it took none.
        self._kept: list[End] = []
        self._failures = 0

    def send(self, ends: Sequence[End]) -> None:
        """Send the letters of these. Any thread may call it."""
        for end in ends:
            self._arrived.put(end)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="jobs-dead-letters", daemon=True)
                self._thread.start()

    def stop(self, seconds: float) -> None:
        """End when all are sent, or after so many seconds. What is not taken now is not offered again."""
        if self._thread is not None:
            self._stopping.set()
            self._arrived.put(None)
            self._thread.join(seconds)

    def _run(self) -> None:
        of_the_engine()
        while self._wait():
            ends, self._kept = self._kept, []
            by_queue: dict[str, list[End]] = {}
            for end in ends:
                by_queue.setdefault(end.job.job.queue, []).append(end)
            for name, some in by_queue.items():
                self._try_to_send(name, some)
            if not self._kept:
                self._failures = 0
        connection.close()

    def _wait(self) -> bool:
        """Wait for letters to send. Returns false when there are none any more, and none will come."""
        seconds = pause(self._failures, FIRST_PAUSE, LONGEST_PAUSE, random.random) if self._kept else None
        if self._stopping.is_set():
            seconds = 0.0
        try:
            end = self._arrived.get(timeout=seconds)
            while end is not None:
                self._kept.append(end)
                if len(self._kept) >= BATCH:
                    break
                end = self._arrived.get_nowait()
        except queue.Empty:
            pass
        return bool(self._kept) and not (self._stopping.is_set() and self._failures)

    def _try_to_send(self, name: str, ends: Sequence[End]) -> None:
        try:
            with forks.held_off():
                self._send(name, ends)
        except Exception as exc:  # noqa: BLE001 (whatever it is, the letters are tried again; their leases are held)
            self._kept += ends
            self._failures += 1
            # The database may have hung up; the next try makes a new connection.
            connection.close()
            if self._failures == 1:
                message = "%d dead letters of queue %s could not be sent (%s); they are tried again."
                logger.warning(message, len(ends), name, exc)

    def _send(self, name: str, ends: Sequence[End]) -> None:
        held = leases_of([end.job.job.id for end in ends])
        now = timezone.now()
        letters = [
            codec.from_job(end.job.job, end.job.job.attempt, end.outcome.reason, end.failure, now)
            for end in ends
            if isinstance(end.outcome, outcomes.Dead) and end.failure and end.job.job.lease_id in held
        ]
        if letters:
            publisher.post_many(name, letters)
        self._parked([replace(end, is_parked=True) for end in ends])
        if connection.vendor == "sqlite":
            connection.close()
