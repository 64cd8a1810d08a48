"""Hard time limits where the pool has none: threads cannot be killed, so their jobs are taken from them.

A job past its limit is recorded as timed out, and its late result is refused because its lease is gone. The
thread itself hangs on; when too many do, the worker replaces its own process.
"""

import logging
import time
from typing import Any

from celery.worker import state

from jobs.worker import running_requests, shutdown, started_flags
from jobs.worker.request import JobRequest

logger = logging.getLogger(__name__)

#: The worker replaces itself when this share of its threads hangs.
HUNG_SHARE = 0.5


class Watchdog:
    """Watches the running jobs of a pool without time limits of its own. Used by the housekeeping thread."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._hung: set[JobRequest] = set()

    @staticmethod
    def needed(worker: Any) -> bool:
        """Return whether the worker's pool leaves time limits to us; prefork kills the child itself."""
        pool = worker.pool_cls
        return "prefork" not in (pool if isinstance(pool, str) else pool.__module__)

    def check(self) -> bool:
        """Take the jobs that are past their limit from their threads."""
        now = time.monotonic()
        for request in running_requests.running():
            limit = request.time_limits[0] or request.task.time_limit
            allowed = (limit or 0.0) + (started_flags.RECORDED_WITHIN if started_flags.has_ended(request.mark) else 0.0)
            if limit and request.began_at is not None and now - request.began_at > allowed:
                self._hung.add(request)
                request.on_timeout(soft=False, timeout=limit)
        self._hung = {request for request in self._hung if not request.ended}
        if self._hung and len(self._hung) >= HUNG_SHARE * self._worker.concurrency and state.should_stop is None:
            logger.error("%d of %d threads hang; the worker renews itself.", len(self._hung), self._worker.concurrency)
            shutdown.renew()
        return False
