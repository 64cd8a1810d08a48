"""What other threads ask of the worker's main thread, which alone may use the pool and the broker's connection."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from jobs.ledger.wakeup import Wakeup

logger = logging.getLogger(__name__)


class MainThread:
    """Calls made one after the other: by the worker's event loop; without one, by whoever asks.

    Args:
        hub: the event loop; None where the worker has none.
    """

    def __init__(self, hub: Any) -> None:
        self._calls: deque[Callable[[], object]] = deque()
        self._lock = threading.Lock()
        self._wakeup = Wakeup() if hub else None

    def attach(self, hub: Any) -> None:
        """Have a loop that begins make the calls."""
        if self._wakeup is not None:
            hub.add_reader(self._wakeup, self.turn)

    def call(self, call: Callable[[], object]) -> None:
        """Have something called soon, in the order of asking."""
        self._calls.append(call)
        if self._wakeup is not None:
            self._wakeup.set()
        else:
            self.turn()

    def turn(self) -> None:
        """Make the calls that wait. Where another thread is at it, it makes these too."""
        if self._wakeup is not None:
            self._wakeup.clear()
        while self._calls and self._lock.acquire(blocking=False):
            try:
                self._make_calls()
            finally:
                self._lock.release()

    def _make_calls(self) -> None:
        while self._calls:
            call = self._calls.popleft()
            try:
                call()
            except Exception:
                logger.exception("A step of the worker failed; it goes on.")
