"""How far ahead a worker takes jobs: by how long those of their task and queue took before, and how fast they end."""

import time
from math import ceil
from typing import Any

from jobs.ledger.claims import Claimed
from jobs.worker.pool import CHUNK_SECONDS, Pool

#: How much a job changes the mean of the times that its task's jobs take, and that mean in the beginning, in seconds.
WEIGHT = 0.2
FIRST_MEAN = 1.0

#: Messages are taken ahead for as many jobs as should run within so many seconds, but not fewer than so many messages.
PREFETCH_SECONDS = 0.1
FEWEST_MESSAGES = 2

#: The pace at which jobs end is measured over at least so many seconds.
PACE_SECONDS = 0.2

#: At most so many jobs are claimed by one statement.
MOST_AT_ONCE = 500


class Means:
    """How long jobs take, by task or by queue, in seconds. Used by the main thread; read by any."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def note(self, name: str, seconds: float) -> None:
        """Take a job's time into account."""
        mean = self._means.get(name, FIRST_MEAN)
        self._means[name] = mean + WEIGHT * (seconds - mean)

    def of(self, name: str) -> float:
        """Return the mean."""
        return self._means.get(name, FIRST_MEAN)

    def slowest(self) -> float:
        """Return the mean of the slowest of all that had jobs."""
        return max(self._means.values(), default=FIRST_MEAN)


class Pace:
    """How many jobs end in a second. Any thread may count one; the main thread asks."""

    def __init__(self) -> None:
        self._ends = self._seen = 0
        self._seen_at = time.monotonic()
        self._rate = 0.0

    def count(self) -> None:
        """Note that a job has ended."""
        self._ends += 1

    def rate(self, now: float) -> float:
        """Return how many have ended in a second since it was asked the last time."""
        seconds = now - self._seen_at
        if seconds >= PACE_SECONDS:
            self._rate = (self._ends - self._seen) / seconds
            self._seen, self._seen_at = self._ends, now
        return self._rate


class Lookahead:
    """How many jobs, and messages, one worker takes that its pool has not begun. Used by the main thread.

    Attributes:
        tasks, queues: how long their jobs take.
        ended_at: when a job last ended, by the monotonic clock.
        pace: at which jobs end.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.tasks, self.queues = Means(), Means()
        self.ended_at, self.pace = time.monotonic(), Pace()
        #: How many jobs a message brings.
        self._per_message = 1.0

    def note_message(self, jobs: int) -> None:
        """Note that a message has brought so many jobs."""
        self._per_message += WEIGHT * (jobs - self._per_message)

    def note(self, job: Claimed, seconds: float) -> None:
        """Note that a job has ended after this time."""
        self.tasks.note(job.task, seconds)
        self.queues.note(job.queue, seconds)
        self.ended_at = time.monotonic()
        self.pace.count()

    def room(self, mean: float, have: int) -> int:
        """Return for how many more jobs there is room that take so long: rather several, half is used up first.

        Args:
            mean: their time, in seconds.
            have: how many the worker has asked for, or has, and the pool has not.
        """
        each = max(1, min(self._pool.chunk_jobs, int(CHUNK_SECONDS / mean)))
        size, free = self._pool.size, self._pool.free
        ahead = size if each > 1 and (free or not self._is_slow()) else 0
        target = min(MOST_AT_ONCE, (free + ahead) * each)
        return 0 if have >= target or (have > free and have * 2 > target) else target - have

    def _is_slow(self) -> bool:
        """Return whether all that the pool has lasts longer than jobs did before."""
        now = time.monotonic()
        return all(now - chunk.given_at > 2 * CHUNK_SECONDS for chunk in self._pool.chunks())

    def set_prefetch(self, consumer: Any) -> None:
        """Take as many messages ahead as should begin soon. Where jobs are slow, other workers may have them."""
        qos, base = consumer.qos, consumer.initial_prefetch_count
        if qos is None or not base or consumer.connection.transport.driver_type == "amqp":
            # With RabbitMQ's quorum queues a limit holds for consumers that are made after it.
            return
        mean = self.queues.slowest()
        ahead = int(PREFETCH_SECONDS / mean) * self._pool.size if mean < CHUNK_SECONDS else 0
        wanted = max(FEWEST_MESSAGES, ceil((base + min(MOST_AT_ONCE, ahead)) / self._per_message))
        if not qos.value / 2 <= wanted <= qos.value:
            # Celery's loop sees to it that the broker knows.
            qos.value = wanted
