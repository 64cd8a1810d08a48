"""From a committed row to the broker, off the caller's thread.

A request that enqueues must neither fail nor hang with its broker. So the commit hook only hands messages to a
thread of the process, which publishes whatever has gathered in one go. What it cannot publish it forgets: the
rows are there, and maintenance in the workers dispatches them when the broker is back.
"""

import atexit
import logging
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from celery import Celery, current_app
from django.db import connection

from jobs.conf import brokers
from jobs.core.backoff import pause
from jobs.enqueue.brokers import by_broker
from jobs.enqueue.dispatch_notes import DispatchNotes
from jobs.enqueue.message import HasMessage, messages_of
from jobs.enqueue.publisher import BATCH
from jobs.enqueue.publishers import PublishesJobs, publisher_at, publisher_for

logger = logging.getLogger(__name__)

#: Jobs held for publishing at most; beyond it they are left to maintenance, so that memory stays bounded.
MOST_PENDING = 20_000

#: A message that comes sooner after the last round trip than this, in seconds, waits for others to share the next one.
GATHER = 0.005

#: The same while many come. A round trip costs as much as publishing seven messages, and takes the interpreter's lock
#: from the thread that enqueues: the fewer of them, the faster it goes on.
GATHER_MANY = 0.02

#: So many messages in one round trip, or more, are many.
MANY = 5

#: The longest pause after a failure to publish, in seconds.
LONGEST_PAUSE = 15.0


class Dispatcher:
    """A thread that publishes what is submitted to one broker. One for each broker in each process that enqueues."""

    def __init__(self, app: Celery, url: str | None = None) -> None:
        self.pid = os.getpid()
        self._publisher: PublishesJobs = publisher_at(app, url) if url else publisher_for(app)
        self._pending: queue.SimpleQueue[Sequence[HasMessage] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._waiting_lock = threading.Lock()
        self._next_at = 0.0
        self._notes = DispatchNotes()
        self._pause_until = 0.0
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="jobs-dispatch", daemon=True)
        self._thread.start()

    def submit(self, jobs: Sequence[HasMessage]) -> None:
        """Have the messages of jobs published soon. Returns at once and never raises."""
        if self._waiting + len(jobs) > MOST_PENDING or time.monotonic() < self._pause_until:
            return
        self._count(len(jobs))
        self._pending.put(jobs)

    def close(self, timeout: float = 3.0) -> None:
        """Publish what is pending and note it, for at most `timeout` seconds; the rest is left to maintenance."""
        self._pending.put(None)
        self._thread.join(timeout)

    def _count(self, change: int) -> None:
        with self._waiting_lock:
            self._waiting += change

    def _run(self) -> None:
        while True:
            try:
                batch, last = self._gather()
                if batch:
                    self._publish(batch)
                self._notes.write(last=last)
            except Exception:
                logger.exception("Dispatching failed; the jobs concerned are left to maintenance.")
                last = False
            if last:
                self._publisher.close()
                connection.close()
                return

    def _gather(self) -> tuple[list[HasMessage], bool]:
        """Wait for jobs, then return all that are there, and whether to stop after them."""
        try:
            first = self._pending.get(timeout=self._notes.seconds_until_due())
        except queue.Empty:
            return [], False
        early = self._next_at - time.monotonic()
        if first is not None and early > 0:
            time.sleep(early)
        batch: list[HasMessage] = []
        item: Sequence[HasMessage] | None = first
        while item is not None:
            batch.extend(item)
            if len(batch) >= BATCH:
                return batch, False
            try:
                item = self._pending.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _publish(self, batch: list[HasMessage]) -> None:
        self._count(-len(batch))
        if time.monotonic() < self._pause_until:
            return
        try:
            refused = self._publisher.publish(messages_of(batch))
            self._next_at = time.monotonic() + (GATHER_MANY if len(batch) >= MANY else GATHER)
        except Exception as exc:  # noqa: BLE001 (every transport has its own errors; each means "not confirmed")
            self._pause(exc)
            return
        if self._failures:
            logger.warning("The broker is back; dispatching goes on.")
            self._failures = 0
        if not self._publisher.holds_messages:
            return
        # What was refused is left to maintenance, which tries it again.
        unsent = {job_id for message in refused for job_id in message.job_ids}
        self._notes.add(job.id for job in batch if job.id not in unsent)

    def _pause(self, exc: Exception) -> None:
        self._failures += 1
        self._pause_until = time.monotonic() + pause(self._failures, 1.0, LONGEST_PAUSE, random.random)
        if self._failures == 1:
            logger.warning("The broker did not take jobs (%s: %s); maintenance will.", type(exc).__name__, exc)


_lock = threading.Lock()
#: By the URL of their broker; None is the application's own, where it carries all queues.
_dispatchers: dict[str | None, Dispatcher] = {}


#: Who takes jobs in place of the dispatchers, the innermost last.
_takers: list[Callable[[Sequence[HasMessage]], None]] = []


@contextmanager
def dispatching_by(take: Callable[[Sequence[HasMessage]], None]) -> Iterator[None]:
    """Have this process's jobs taken by this callable meanwhile instead of published, as in tests without a broker."""
    _takers.append(take)
    try:
        yield
    finally:
        _takers.remove(take)


def dispatch(jobs: Sequence[HasMessage]) -> None:
    """Have jobs published soon, each to the broker of its queue. Returns at once and never raises."""
    if _takers:
        _takers[-1](jobs)
        return
    if not brokers():
        dispatcher().submit(jobs)
        return
    for url, some in by_broker(current_app._get_current_object(), jobs).items():  # noqa: SLF001
        dispatcher(url).submit(some)


def dispatcher(url: str | None = None) -> Dispatcher:
    """Return this process's dispatcher to a broker; a forked child gets one of its own."""
    current = _dispatchers.get(url)
    if current is not None and current.pid == os.getpid():
        return current
    with _lock:
        current = _dispatchers.get(url)
        if current is None or current.pid != os.getpid():
            app = current_app._get_current_object()  # noqa: SLF001 (the proxy is thread-bound)
            current = _dispatchers[url] = Dispatcher(app, url)
        return current


def flush(timeout: float = 3.0) -> None:
    """Publish what this process has pending, for at most `timeout` seconds each broker."""
    global _dispatchers
    pending, _dispatchers = _dispatchers, {}
    for current in pending.values():
        if current.pid == os.getpid():
            current.close(timeout)


def _after_fork() -> None:
    global _dispatchers, _lock
    # The parent's threads do not exist here, and its lock may have been held at the fork.
    _dispatchers, _lock = {}, threading.Lock()


atexit.register(flush)
os.register_at_fork(after_in_child=_after_fork)
