"""Messages for rows that have none: their time has come, their process could not send it, or it was lost."""

import logging
import uuid
from collections.abc import Sequence

from jobs.conf import conf
from jobs.enqueue.message import Outgoing, messages_of, outgoing
from jobs.enqueue.publishers import PublishesJobs
from jobs.ledger import maintain
from jobs.ledger.maintain import Dispatchable
from jobs.ledger.sql import RowLocked
from jobs.worker import counters
from jobs.worker.pending_writes import Unsent, pending_writes

logger = logging.getLogger(__name__)

#: Rows handled in one go.
BATCH = 500

#: How long a committed job may be without a message before maintenance takes it over from the process that
#: enqueued it, in seconds. Well above the time that process takes to publish and to note it.
DISPATCH_GRACE = 3.0


class Redispatch:
    """Dispatches what waits for it. Used by one thread of a worker; each duty returns whether there is more at once."""

    def __init__(self, publisher: PublishesJobs) -> None:
        self._publisher = publisher

    def due(self) -> bool:
        """Dispatch scheduled and retrying jobs whose time has come."""
        jobs = maintain.take_due(BATCH)
        return self._publish(jobs, messages_of(jobs))

    def undispatched(self) -> bool:
        """Dispatch jobs whose process could not: broker down at commit, or killed right after it.

        Each gets a message of its own: among them are those of a chunk that was too much for one worker.
        """
        jobs = maintain.take_undispatched(DISPATCH_GRACE, BATCH, without=self._publisher.set_aside.held())
        return self._publish(jobs, [outgoing(job, retries=job.attempt) for job in jobs])

    def every(self) -> float:
        """Return how often to look for lost messages, in seconds."""
        return min(conf().housekeeping_seconds * 5, conf().resend_seconds)

    def lost(self) -> bool:
        """Send jobs again whose message is evidently gone: the broker holds none for the queue, or others overtook."""
        waited = conf().resend_seconds
        more = False
        refused = self._publisher.set_aside.held()
        for queue in maintain.suspect_queues(waited):
            if queue in refused:
                continue
            if self._publisher.depth(queue) == 0:
                suspects = maintain.take_suspects(queue, waited, BATCH)
            else:
                suspects = maintain.take_overtaken(queue, waited, BATCH)
            if suspects:
                counters.add("resent", len(suspects))
                logger.warning("%d jobs of queue %s are sent again, their messages were lost.", len(suspects), queue)
            self._publish(suspects, messages_of(suspects))
            more = more or len(suspects) == BATCH
        return more

    def freed(self, queues: Sequence[str]) -> None:
        """Called when jobs of these queues may be claimed again."""
        self.undispatched()

    def _publish(self, jobs: Sequence[Dispatchable], messages: Sequence[Outgoing]) -> bool:
        if not jobs:
            return False
        try:
            refused = self._publisher.publish(messages)
        except BaseException:
            _redispatch([job.id for job in jobs])
            raise
        _redispatch([job_id for message in refused for job_id in message.job_ids])
        return len(jobs) == BATCH


def _redispatch(job_ids: Sequence[uuid.UUID]) -> None:
    try:
        maintain.redispatch(job_ids)
    except RowLocked:
        # It is noted when the row is free.
        pending_writes.put(Unsent(job_ids))
