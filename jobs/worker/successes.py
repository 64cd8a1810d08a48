"""Successes that a worker's parent process writes for its pool (`jobs.worker.exchange`).

A pool process that leaves its success to the parent goes on with the next job at once. Those that a killed worker had
not written yet run again when their leases run out, as where a process dies between a job's effect and its record.
"""

import threading
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from jobs.core.delivery import OWN
from jobs.worker.exchange import Exchange, exchange
from jobs.worker.losses import Late, Success, losses

if TYPE_CHECKING:
    from jobs.worker.request import JobRequest

#: In a request: whether the parent process will write a success.
OFFERED = OWN + "writes_successes"


class Left(NamedTuple):
    """What comes back from the pool in place of a result whose success is still to be written."""

    result: Any
    attempt: int


class Successes:
    """The successes still to be written. Any thread may call any method."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._lock = threading.Lock()
        self._waiting: list[Success] = []

    def put(self, request: "JobRequest", attempt: int) -> None:
        """Write the success of a delivery soon. Its lease is held until then."""
        success = Success(request, attempt)
        if not self._exchange.is_open:
            losses.put(success)
            return
        with self._lock:
            self._waiting.append(success)
        self._exchange.wake()

    def holders(self) -> list["JobRequest"]:
        """Return the deliveries whose leases must be held until their success is written.

        What is being written needs no lease renewed; two statements on many rows could lock each other out.
        """
        with self._lock:
            return [success.request for success in self._waiting]

    def take(self) -> list[Success]:
        """Return what is to be written now."""
        with self._lock:
            taken, self._waiting = self._waiting, []
        return taken

    def answered(self, done: Sequence[Success], written: Collection[str]) -> None:
        """Note which leases' successes are written. The others' were lost before: their results are refused."""
        for success in done:
            if success.lease_id not in written:
                losses.put(Late(success.request, success.attempt))

    def unanswered(self, done: Sequence[Success]) -> None:
        """Have them written one by one."""
        for success in done:
            losses.put(success)

    def drop(self) -> None:
        """Leave what is not on its way to housekeeping: the loop that would write it ends."""
        self.unanswered(self.take())


successes = Successes(exchange)
