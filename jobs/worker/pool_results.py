"""The results that the pool's processes have sent, read also where the worker's event loop does not read them.

The loop fires its timers before it reads, and without a connection to the broker it does not run at all. A plain task
that has ended in time would be taken for timed out by a loop that comes late to its result.
"""

import select
import time
from collections.abc import Callable
from functools import partial
from inspect import isgenerator
from typing import Any

from celery.concurrency.asynpool import AsynPool

#: A process that is writing a long message goes on within so many seconds; else it was stopped.
WRITES_ON = 1.0

#: Reading is given up after so many seconds, to be gone on with the next time.
LONGEST_READ = 5.0


class PoolResults:
    """Reads from the processes of Celery's pool. Used by the worker's main thread.

    Other pools have no results that wait: their threads tell of them.
    """

    def __init__(self, pool: Any, hub: Any) -> None:
        self._task_pool = pool
        self._hub = hub

    def judge_limits(self) -> None:
        """Have results read before a time limit ends their jobs. Called once the pool and the loop know each other."""
        pool = self._pool
        if pool is None or hasattr(pool, "judged"):
            return
        pool.judged = True
        handler = pool._timeout_handler  # noqa: SLF001
        # The loop asks the pool, and a pool that stops asks its handler.
        pool.on_soft_timeout = handler.on_soft_timeout = partial(self._warn, handler.on_soft_timeout)
        pool.on_hard_timeout = handler.on_hard_timeout = partial(self._end, handler.on_hard_timeout)

    def serve(self, seconds: float) -> None:
        """Do what the loop does for the pool: read results first, for so long; then end what is past its limit."""
        pool = self._pool
        if pool is None:
            time.sleep(seconds)
            return
        self._listen(pool)
        self.read(seconds)
        pool.maintain_pool()
        self._hub.fire_timers()

    def read(self, seconds: float = 0.0) -> None:
        """Read all that the processes have sent, waiting so many seconds for the first of it."""
        pool = self._pool
        if pool is None:
            return
        until = time.monotonic() + LONGEST_READ
        readable = self._readable(pool, seconds)
        while readable and time.monotonic() < until:
            for fileno in readable:
                self._read(pool, fileno)
            # The loop would forget what is read in part when it begins anew.
            readable = self._readable(pool, WRITES_ON if self._is_amid_message(pool) else 0.0)

    @property
    def _pool(self) -> Any:
        """Celery's pool of processes, once a loop reads from it."""
        pool = getattr(self._task_pool, "_pool", None)
        is_read_by_loop = isinstance(pool, AsynPool) and pool._registered_with_event_loop  # noqa: SLF001
        return pool if is_read_by_loop else None

    def _warn(self, warn: Callable[[Any], None], result: Any) -> None:
        """Tell a body of its soft limit, unless it has ended."""
        self.read()
        if not result.ready():
            warn(result)

    def _end(self, end: Callable[[Any], None], result: Any) -> None:
        """End a plain task at its hard limit, unless it has ended."""
        self.read()
        if not result.ready():
            end(result)

    def _listen(self, pool: Any) -> None:
        # A process that does not come up is looked for among these.
        for fileno in list(pool._fileno_to_outq):  # noqa: SLF001
            if fileno not in self._hub.readers:
                self._hub.add_reader(fileno, pool.handle_result_event, fileno)

    def _readable(self, pool: Any, seconds: float) -> list[int]:
        poller = select.poll()
        for fileno in list(pool._fileno_to_outq):  # noqa: SLF001
            poller.register(fileno, select.POLLIN)
        return [fileno for fileno, event in poller.poll(seconds * 1000) if event & select.POLLIN]

    def _read(self, pool: Any, fileno: int) -> None:
        callback, arguments = self._hub.readers.get(fileno) or (pool.handle_result_event, (fileno,))
        if not isgenerator(callback):
            callback(*arguments)
            return
        try:
            next(callback)
        except StopIteration:
            return
        except (OSError, EOFError):
            self._hub.remove(fileno)

    def _is_amid_message(self, pool: Any) -> bool:
        readers = (self._hub.readers.get(fileno) for fileno in pool._fileno_to_outq)  # noqa: SLF001
        return any(reader is not None and isgenerator(reader[0]) for reader in readers)
