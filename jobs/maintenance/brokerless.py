"""Redispatch with `ledger://`: nothing is published, rows are freed and workers woken."""

import logging
from collections.abc import Sequence

from jobs.conf import conf
from jobs.enqueue.publishers import PublishesJobs
from jobs.ledger import fetch
from jobs.ledger.notify import announce
from jobs.maintenance.redispatch import BATCH, Redispatch

#: What one worker fetched and did not begin within so many seconds, others may have: it is busy, and they may not be.
SOON = 2.0

logger = logging.getLogger(__name__)


class LedgerRedispatch(Redispatch):
    """The duties where a queued row is its own message."""

    def due(self) -> bool:
        """Let workers have the scheduled and retrying jobs whose time has come."""
        count, queues = fetch.queue_due(BATCH)
        announce(queues)
        return count == BATCH

    def undispatched(self) -> bool:
        """Do nothing: a committed row waits for no dispatch."""
        return False

    def freed(self, queues: Sequence[str]) -> None:
        """Wake the workers of these queues."""
        announce(list(queues))

    def every(self) -> float:
        """Return how often to look for what a busy worker keeps from others, in seconds."""
        return min(conf().housekeeping_seconds, conf().resend_seconds)

    def lost(self) -> bool:
        """Let other workers have what one fetched and has not begun: it is dead, or busy."""
        count, queues = fetch.redispatch(min(SOON, conf().resend_seconds), BATCH)
        if count:
            logger.debug("%d fetched jobs were not begun and may be fetched again.", count)
        announce(queues)
        return count == BATCH


def redispatch_for(publisher: PublishesJobs) -> Redispatch:
    """Return what redispatches with this broker."""
    return Redispatch(publisher) if publisher.holds_messages else LedgerRedispatch(publisher)
