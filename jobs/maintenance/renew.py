"""The leases of one worker's jobs: renewed all together, and what is not renewed is told apart: locked, or lost."""

import logging
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from jobs.conf import conf
from jobs.ledger import maintain
from jobs.ledger.maintain import Renewal
from jobs.worker import running_requests
from jobs.worker.claimer import handover
from jobs.worker.losses import losses
from jobs.worker.successes import successes

if TYPE_CHECKING:
    from jobs.worker.request import JobRequest

logger = logging.getLogger(__name__)

#: Seconds from one try to renew the leases of locked rows to the next. Whoever rescues jobs leaves more time than this
#: to a row that was locked.
AGAIN_EVERY = 0.5

#: How long a lease must be found lost before the job is ended, in seconds: one that has just ended in order may not be
#: off the list yet.
SURE_AFTER = 1.0


def held_here() -> dict[str, "JobRequest"]:
    """Return the deliveries whose leases this worker holds, by lease."""
    holders = running_requests.running() + handover.holders() + losses.holders() + successes.holders()
    return {one.lease_id: one for one in holders}


class Leases:
    """Renews a worker's leases. Used by one thread."""

    def __init__(self) -> None:
        #: The leases that this worker is known to have held.
        self._known: set[str] = set()
        self._locked: set[str] = set()
        #: Since when a lease is found lost, by the monotonic clock.
        self._lost: dict[str, float] = {}

    def renew(self) -> bool:
        """Renew the leases of all jobs that this worker has, in one statement."""
        self._renew(held_here())
        return False

    def renew_again(self) -> bool:
        """Renew those whose rows were locked, as soon as they are free; end jobs whose leases were lost."""
        if self._locked or self._lost:
            mine = held_here()
            self._renew({lease: one for lease, one in mine.items() if lease in self._locked or lease in self._lost})
        return False

    def _renew(self, mine: Mapping[str, "JobRequest"]) -> None:
        renewal = maintain.renew(list(mine), conf().lease_seconds)
        self._note(mine, renewal)
        self._end_lost(renewal.lost)

    def _note(self, mine: Mapping[str, "JobRequest"], renewal: Renewal) -> None:
        for lease_id in renewal.locked.keys() - self._locked:
            logger.warning(
                "The lease of job %s cannot be renewed while another transaction holds its row.",
                renewal.locked[lease_id],
            )
        self._locked = self._locked - mine.keys() | renewal.locked.keys()
        self._known = self._known & held_here().keys() | (mine.keys() - set(renewal.lost))

    def _end_lost(self, lost: Collection[str]) -> None:
        now = time.monotonic()
        # What was never held is on its way to be claimed by its process.
        self._lost = {lease: self._lost.get(lease, now) for lease in lost if lease in self._known}
        for request in running_requests.running():
            if now - self._lost.get(request.lease_id, now) >= SURE_AFTER:
                del self._lost[request.lease_id]
                self._known.discard(request.lease_id)
                request.end_lost()
