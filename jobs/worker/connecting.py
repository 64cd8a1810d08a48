"""A worker's consumer that stays: whatever becomes of its broker, or of a step of its loop, it connects anew."""

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from celery.concurrency.prefork import TaskPool as ProcessPool
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu.common import ignore_errors
from kombu.exceptions import OperationalError

from jobs.core.backoff import pause
from jobs.enqueue.set_aside import told
from jobs.worker.waits import Waits

if TYPE_CHECKING:
    from jobs.worker.engine import Engine

logger = logging.getLogger(__name__)

#: The first pause before a broker out of reach is tried again, and the longest, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0

#: Refusals by the broker that lie further apart than this, in seconds, are not counted as one row.
SAME_REFUSAL = 2 * LONGEST_PAUSE

#: A worker whose own steps fail so many times in a row ends, for whoever starts it anew.
MOST_FAULTS = 5


class ConnectedConsumer(Consumer):
    """Celery's consumer, which tries a broker for ever, and keeps what its pool has when a connection is lost."""

    connection: Any
    engine: "Engine"
    channel_errors: tuple[type[BaseException], ...]
    #: How often in a row the broker was out of reach.
    connection_attempts = 0
    #: What the broker refuses the whole worker, until it does not.
    refusal = ""
    _refusals = 0
    _refused_at = float("-inf")
    _was_ready = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._calls: deque[Callable[[], Any]] = deque()
        super().__init__(*args, **kwargs)
        #: What the broker says no with. What Celery goes on after is any error: see `_set_back`.
        self._refusal_errors = self.channel_errors
        self.channel_errors = (*self.channel_errors, Exception)
        self._waits = Waits(self)

    def register_with_event_loop(self, hub: Any) -> None:
        """Called before the worker's loop begins, when it knows the pool."""
        super().register_with_event_loop(hub)
        self._waits.begin_loop()

    def on_ready(self) -> None:
        """Called whenever the worker's loop begins: the broker lets it."""
        super().on_ready()
        self._was_ready = True
        self.refusal = ""

    def call_soon(self, p: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Have the main thread call something, in the order of asking: Kombu's hub keeps such calls in a set."""
        if not self.hub:
            return super().call_soon(p, *args, **kwargs)
        self._calls.append(partial(p, *args, **kwargs))
        return self.hub.call_soon(self._make_calls)

    def _make_calls(self) -> None:
        # What one that fails leaves behind is called the next time.
        while self._calls:
            self._calls.popleft()()

    def ensure_connected(self, conn: Any) -> Any:
        """Return the connection when it stands: tried for ever, with back-off and jitter, which Celery's has not.

        What the pool runs meanwhile ends as at other times: its results are read, its time limits hold.

        Where the project limits or forbids trying again, Celery's way is kept.
        """
        settings = self.app.conf
        connect = partial(conn.ensure_connection, max_retries=0, timeout=settings.broker_connection_timeout)
        if settings.broker_connection_max_retries is not None or not settings.broker_connection_retry:
            return super().ensure_connected(conn)
        while True:
            maybe_shutdown()
            try:
                self._waits.connect(connect)
            except OperationalError as exc:
                self._wait_for_broker(conn, exc)
            else:
                self.first_connection_attempt = False
                self.connection_attempts = 0
                return conn

    def _wait_for_broker(self, conn: Any, exc: OperationalError) -> None:
        self.connection_attempts += 1
        seconds = pause(self.connection_attempts, FIRST_PAUSE, LONGEST_PAUSE, random.random)
        logger.error(
            "The broker %s is out of reach (%s); attempt %d comes in %.1f s.",
            conn.as_uri(),
            exc,
            self.connection_attempts + 1,
            seconds,
        )
        conn.maybe_switch_next()
        self._waits.wait(seconds)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Called when the worker could not connect, or when something else failed on the way."""
        if isinstance(exc, self.connection_errors):
            super().on_connection_error_before_connected(exc)
        else:
            self._set_back(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Called when the connection is lost, or when something else ended the worker's loop."""
        if isinstance(exc, self.connection_errors):
            super().on_connection_error_after_connected(exc)
            return
        broken, self.connection = self.connection, None
        ignore_errors(broken, broken.close)
        self._set_back(exc)

    def _set_back(self, exc: Exception) -> None:
        """Have the worker connect anew in a while, where Celery would end it.

        The broker refuses what it cannot do without: it may have become a replica, or be out of disk. That is tried for
        ever. Or a step of the worker has failed, by a fault of ours or of a library: the loop begins anew. Raises the
        error of a worker that never was ready, and of one that goes on failing.
        """
        now = time.monotonic()
        self._refusals = self._refusals + 1 if now - self._refused_at < SAME_REFUSAL else 1
        self._refused_at = now
        is_refused = isinstance(exc, self._refusal_errors)
        if not is_refused and (not self._was_ready or self._refusals > MOST_FAULTS):
            raise exc
        self.refusal = told(exc)
        seconds = pause(self._refusals, FIRST_PAUSE, LONGEST_PAUSE, random.random)
        if is_refused:
            logger.error("The broker refuses this worker (%s); it is tried again in %.1f s.", self.refusal, seconds)
        else:
            message = "A step of the worker failed (%s); its loop begins anew in %.1f s."
            logger.error(message, self.refusal, seconds, exc_info=exc)
        self._waits.wait(seconds)

    def on_close(self) -> None:
        """Called when the connection is lost: what was fetched and not begun is dispatched again.

        What the pool has already will run, whoever brought it: Celery's pool of processes would forget that it has it.
        """
        self._waits.serve()
        # Celery's pool of processes would forget what it has not begun, as the broker would send it again.
        forgets = isinstance(self.pool, ProcessPool)
        self.engine.pool.keep_over_reconnect(super().on_close, lambda result: not forgets or _keeps(result))
        self.engine.connection_lost()


def _keeps(result: Any) -> bool:
    """Return whether one of the pool's processes has it; the pool has forgotten all that have not begun."""
    process = result and result._write_to  # noqa: SLF001
    if not process or not process._is_alive():  # noqa: SLF001
        return False
    result._cache[result._job] = result  # noqa: SLF001
    return True
