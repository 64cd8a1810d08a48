"""Successes that a worker's parent process writes for its pool: all that came in meanwhile, in one statement.

A commit waits for the disk, and that wait is most of what a short job costs. A pool process that leaves its success to
the parent goes on with the next job at once, and many successes share a commit. Those that a killed worker had not
written yet run again when their leases run out, as where a process dies between a job's effect and its record.
"""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from celery.app.trace import trace_ok_t
from django.db import Error as DatabaseError, connection

from jobs.ledger import attempts
from jobs.ledger.attempts import Failure
from jobs.runtime import forks
from jobs.runtime.execute import LEFT, refuse
from jobs.runtime.losses import Success, losses

if TYPE_CHECKING:
    from jobs.runtime.request import JobRequest

#: Seconds from one statement to the next at least, so that many successes come together where many come. One that
#: comes alone is written at once.
GATHER = 0.005

#: In a request: whether the parent process will write a success.
OFFERED = "writes_successes"

Tracer = Callable[..., trace_ok_t]


class Left(NamedTuple):
    """What comes back from the pool in place of a result whose success is still to be written."""

    result: Any
    attempt: int


def leaving(tracer: Tracer) -> Tracer:
    """Wrap a task's tracer so that what it returns says whether the success was left to the parent process."""

    def trace(uuid: str, args: Any, kwargs: Any, request: dict[str, Any] | None = None) -> trace_ok_t:
        if not request or not request.get(OFFERED):
            return tracer(uuid, args, kwargs, request)
        left: list[int] = []
        traced = tracer(uuid, args, kwargs, {**request, LEFT: left})
        return traced._replace(retstr=Left(traced.retstr, *left)) if left else traced

    return trace


class Successes:
    """The successes still to be written, and the thread that writes them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[Success] = []
        self._thread: threading.Thread | None = None

    @property
    def is_open(self) -> bool:
        """Whether successes may be left to this process."""
        return self._thread is not None

    def open(self) -> None:
        """Begin to write, where commits are dear: SQLite's are not, and its connections must not live over a fork."""
        if connection.vendor == "postgresql":
            self._thread = threading.Thread(target=self._run, name="jobs-successes", daemon=True)
            self._thread.start()

    def put(self, request: "JobRequest", attempt: int) -> None:
        """Write the success of a delivery soon. Its lease is held until then."""
        success = Success(request, attempt)
        with self._changed:
            if self.is_open:
                self._waiting.append(success)
                self._changed.notify()
                return
        losses.put(success)

    def holders(self) -> list["JobRequest"]:
        """Return the deliveries whose leases must be held until their success is written."""
        with self._changed:
            return [success.request for success in self._waiting]

    def close(self, timeout: float) -> None:
        """Write what is left, waiting for it at most `timeout` seconds."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify()
        if thread is not None:
            thread.join(timeout)

    def _run(self) -> None:
        began = float("-inf")
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or not self.is_open)
            if self.is_open:
                time.sleep(max(0.0, began + GATHER - time.monotonic()))
            began = time.monotonic()
            with forks.held_off():
                # What is being written needs no lease renewed; two statements on many rows could lock each other out.
                with self._changed:
                    batch, self._waiting = self._waiting, []
                if not batch:
                    break
                _write(batch)
        connection.close()


def _write(batch: list[Success]) -> None:
    try:
        written = attempts.succeed_together({success.job_id: success.request.lease_id for success in batch})
    except DatabaseError:
        connection.close()
        for success in batch:
            losses.put(success)
        return
    for success in batch:
        if success.job_id not in written:
            request = success.request
            refuse(success.job_id, success.attempt, request.hostname, Failure("Succeeded", "It succeeded."))


successes = Successes()
