"""Waiting in a worker's main thread for the broker, while what the pool runs ends as it does at other times."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from celery.worker import loops
from celery.worker.state import maybe_shutdown
from django.db import connections

from jobs.worker import forks
from jobs.worker.pool_results import PoolResults

if TYPE_CHECKING:
    from jobs.worker.consumer import JobsConsumer

#: The longest time until a worker that waits sees that it is told to stop, in seconds.
SLICE = 0.5

#: How soon a connection that stands is seen, in seconds.
SOON = 0.02


class Waits:
    """The waits of one consumer, outside its event loop. All raise WorkerShutdown where the worker is told to stop."""

    def __init__(self, consumer: "JobsConsumer") -> None:
        self._consumer = consumer
        self._results = PoolResults(consumer.pool, consumer.hub)

    def begin_loop(self) -> None:
        """Note that the worker's loop begins, and knows the pool."""
        self._results.judge_limits()

    def wait(self, seconds: float) -> None:
        """Wait so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            maybe_shutdown()
            self.serve(min(left, SLICE))

    def connect(self, connect: Callable[[], object]) -> None:
        """Connect, in another thread: a broker may hang, and a name may take minutes to be looked up.

        Raises what `connect` raises.
        """
        if not self._consumer.hub:
            connect()
            return
        connected: Future[None] = Future()
        threading.Thread(target=_settle, args=(connected, connect), name="jobs-connect", daemon=True).start()
        while not connected.done():
            maybe_shutdown()
            self.serve(SOON)
        connected.result()

    def serve(self, seconds: float = 0.0) -> None:
        """Read the pool's results for so long, and have its time limits hold."""
        consumer = self._consumer
        if not consumer.hub:
            time.sleep(seconds)
            return
        consumer.engine.main.turn()
        before = loops._timer_entries(consumer.hub.timer)  # noqa: SLF001
        self._results.serve(seconds)
        if consumer.timer_entries_before_start is not None:
            # Jobs' time limits are set meanwhile. What Celery takes for timers of the connection ends with it.
            consumer.timer_entries_before_start |= loops._timer_entries(consumer.hub.timer) - before  # noqa: SLF001


def _settle(connected: "Future[None]", connect: Callable[[], Any]) -> None:
    try:
        # The pool's next process must not inherit what is locked on the way.
        with forks.held_off():
            connect()
    except BaseException as exc:  # noqa: BLE001 (raised where it is waited for)
        connected.set_exception(exc)
    else:
        connected.set_result(None)
    finally:
        connections.close_all()
