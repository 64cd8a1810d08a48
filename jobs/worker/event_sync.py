"""Jobs of which Celery's events say that they began, and nobody says how they ended.

The messages of a batch's jobs come after it, and find them taken; an operator cancels a job that waits; a task is
ignored. Celery sends no event then, and Flower would show them as started for ever. The ledger knows how they ended.
"""

import threading
import time
import uuid
from typing import TYPE_CHECKING

from jobs.core.states import State
from jobs.ledger import maintain

if TYPE_CHECKING:
    from jobs.worker.request import JobRequest

#: The most that is kept in mind, and for how long, in seconds: what runs elsewhere may take its time.
MOST, LONGEST = 10_000, 3600.0


class Untold:
    """The deliveries that were ignored. Filled by the worker's main thread, emptied by housekeeping."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[uuid.UUID, tuple[JobRequest, float]] = {}

    def put(self, request: "JobRequest") -> None:
        """Keep a delivery in mind, where anybody wants events."""
        if not (request.eventer and request.eventer.enabled):
            return
        try:
            job_id = uuid.UUID(request.id)
        except ValueError:
            return
        with self._lock:
            if len(self._kept) < MOST:
                self._kept[job_id] = request, time.monotonic()

    def tell(self) -> bool:
        """Send the events of those that have ended meanwhile; forget those that will have other messages."""
        with self._lock:
            kept = dict(self._kept)
        if not kept:
            return False
        found = maintain.fates(list(kept))
        for job_id, (request, since) in kept.items():
            state, error = found.get(job_id, (None, ""))
            if state == State.RUNNING and time.monotonic() - since < LONGEST:
                continue
            with self._lock:
                self._kept.pop(job_id, None)
            _send(request, state, error)
        return False


def _send(request: "JobRequest", state: State | None, error: str) -> None:
    match state:
        case State.SUCCEEDED:
            request.send_event("task-succeeded", result="", runtime=0)
        case State.DEAD:
            request.send_event("task-failed", exception=error, traceback="")
        case State.CANCELLED:
            request.send_event("task-revoked", terminated=False, signum=None, expired=False)
        case State.RETRYING | State.SCHEDULED:
            request.send_event("task-retried", exception=error, traceback="")


untold = Untold()
