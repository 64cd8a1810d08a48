"""Which queues this worker takes jobs from just now: none while the ledger cannot be written, no paused ones.

A worker that went on fetching would only throw messages away; they would be sent again, but later.
"""

import logging
from typing import Any

from jobs.models import Queue

logger = logging.getLogger(__name__)


class Intake:
    """Opens and closes the worker's consuming of queues. Used by the housekeeping thread."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._queues: set[str] | None = None
        self._closed: set[str] = set()
        self.trouble = ""

    def follow(self) -> bool:
        """Take jobs from all queues that are not paused."""
        paused = set(Queue.objects.filter(paused_at__isnull=False).values_list("name", flat=True))
        if self.trouble:
            logger.warning("The ledger can be written again; this worker takes jobs again.")
            self.trouble = ""
        self._close_only(paused)
        return False

    def close(self, trouble: str) -> None:
        """Take no jobs at all, for this reason, until `follow` is called."""
        if not self.trouble:
            logger.error("The ledger cannot be written (%s); this worker takes no jobs meanwhile.", trouble)
        self.trouble = trouble
        self._close_only(self._all())

    def _all(self) -> set[str]:
        if self._queues is None:
            self._queues = set(self._worker.app.amqp.queues.consume_from)
        return self._queues

    def _close_only(self, closed: set[str]) -> None:
        consumer = self._worker.consumer
        if consumer is None or getattr(consumer, "task_consumer", None) is None:
            # Not connected; it is said again in a moment.
            return
        closed = closed & self._all()
        for queue in closed - self._closed:
            consumer.call_soon(consumer.cancel_task_queue, queue)
        for queue in self._closed - closed:
            consumer.call_soon(consumer.add_task_queue, queue)
        self._closed = closed
