"""The leases of one worker's jobs: renewed all together, and what is not renewed is told apart: locked, or lost."""

import logging
import time
from collections.abc import Collection, Sequence

from jobs.conf import conf
from jobs.ledger import leases
from jobs.ledger.leases import Renewal
from jobs.worker.engine import Engine

logger = logging.getLogger(__name__)

#: Seconds from one try to renew the leases of locked rows to the next. Whoever rescues jobs leaves more time than this
#: to a row that was locked.
AGAIN_EVERY = 0.5

#: How long a lease must be found lost before the job is ended, in seconds: one that has just ended in order may not be
#: off the list yet.
SURE_AFTER = 1.0


class Leases:
    """Renews a worker's leases. Used by one thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: The leases that this worker is known to have held.
        self._known: set[str] = set()
        self._locked: set[str] = set()
        #: Since when a lease is found lost, by the monotonic clock.
        self._lost: dict[str, float] = {}

    def renew(self) -> bool:
        """Renew the leases of all jobs that this worker has, in one statement."""
        self._renew(self._engine.reserved.leases())
        return False

    def renew_again(self) -> bool:
        """Renew those whose rows were locked, as soon as they are free; end jobs whose leases were lost."""
        if self._locked or self._lost:
            mine = self._engine.reserved.leases()
            self._renew([lease for lease in mine if lease in self._locked or lease in self._lost])
        return False

    def _renew(self, mine: Sequence[str]) -> None:
        renewal = leases.renew(mine, conf().lease_seconds)
        self._note(mine, renewal)
        self._end_lost(renewal.lost)

    def _note(self, mine: Sequence[str], renewal: Renewal) -> None:
        for lease_id in renewal.locked.keys() - self._locked:
            logger.warning(
                "The lease of job %s cannot be renewed while another transaction holds its row.",
                renewal.locked[lease_id],
            )
        self._locked = self._locked - set(mine) | renewal.locked.keys()
        self._known = self._known & set(self._engine.reserved.leases()) | (set(mine) - set(renewal.lost))

    def _end_lost(self, lost: Collection[str]) -> None:
        now = time.monotonic()
        # What was never held is on its way to be claimed by its process.
        self._lost = {lease: self._lost.get(lease, now) for lease in lost if lease in self._known}
        for job in self._engine.reserved.running():
            lease_id = job.job.lease_id
            if now - self._lost.get(lease_id, now) >= SURE_AFTER:
                del self._lost[lease_id]
                self._known.discard(lease_id)
                self._engine.endings.end_lost(job)
