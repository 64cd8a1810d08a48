"""What a worker does for the ledger besides running jobs. Each duty returns whether there is more to do at once."""

import logging
import random
import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace

from celery import Celery
from celery.exceptions import WorkerLostError

from jobs.compose.followers import call_in_place
from jobs.conf import conf
from jobs.core import outcome as outcomes
from jobs.core.retry import RetryPolicy
from jobs.deadletters.publisher import BrokerGone
from jobs.enqueue.message import outgoing
from jobs.enqueue.publisher import Publisher
from jobs.ledger import claims, maintain, operate
from jobs.ledger.attempts import Failure
from jobs.ledger.maintain import Dispatchable, Overdue
from jobs.ledger.sql import RowLocked
from jobs.maintenance.held_back import HeldBack
from jobs.maintenance.renew import Leases, held_here
from jobs.worker import counters, running_requests as held
from jobs.worker.executor import record
from jobs.worker.losses import Unsent, losses

logger = logging.getLogger(__name__)

#: Rows handled in one go.
BATCH = 500

#: How long a committed job may be without a message before housekeeping takes it over from the process that
#: enqueued it, in seconds. Well above the time that process takes to publish and to note it.
DISPATCH_GRACE = 3.0

#: A lease that ran out this long before it could have been found, in seconds, was found before.
LATE = 2.0


class Steward:
    """A worker's duties. Used by one thread."""

    def __init__(self, publisher: Publisher, app: Celery) -> None:
        self._publisher = publisher
        self._app = app
        self._held_back = HeldBack(app, self._wake)
        self._leases = Leases()
        #: Since when the database has been written to without a longer silence, and when it last was.
        self._in_touch_since = self._touched_at = float("-inf")
        #: The leases that had run out long before they were first seen here.
        self._seen_late: set[str] = set()

    def renew_leases(self) -> bool:
        """Renew the leases of all jobs that this worker runs, in one statement."""
        return self._leases.renew()

    def renew_leases_again(self) -> bool:
        """Renew those that could not be because somebody's transaction held the row."""
        return self._leases.renew_again()

    def cancel_asked(self) -> bool:
        """End the running jobs that an operator wants ended."""
        running = {request.lease_id: request for request in held.running()}
        for lease_id in operate.to_cancel(list(running)):
            running[lease_id].cancel_by_operator()
        return False

    def record_losses(self) -> bool:
        """Record what dead children could not."""
        losses.write_all()
        return False

    def dispatch_due(self) -> bool:
        """Dispatch scheduled and retrying jobs whose time has come."""
        return self._publish(maintain.take_due(BATCH))

    def dispatch_undispatched(self) -> bool:
        """Dispatch jobs whose process could not: broker down at commit, or killed right after it."""
        return self._publish(
            maintain.take_undispatched(DISPATCH_GRACE, BATCH, without=self._publisher.set_aside.held())
        )

    def rescue(self) -> bool:
        """Take back jobs whose lease ran out: their worker is gone.

        After the database could not be written to, every worker gets the time to renew first; else the first one to
        reconnect would take the others' running jobs for lost. That it can be read says nothing.
        """
        asked_at = time.monotonic()
        maintain.try_to_write()
        found = maintain.overdue(BATCH, late_seconds=self.rescue_every() + LATE)
        if not self._in_touch(asked_at):
            return False
        gone: BrokerGone | None = None
        for job in self._lost(found):
            try:
                self._rescue(job)
            except BrokerGone as exc:
                # Its dead letter cannot be sent now; that is no reason to leave the others lying.
                gone = exc
        if gone is not None:
            raise gone
        return len(found) == BATCH

    def rescue_every(self) -> float:
        """Return how many seconds from one look for lost jobs to the next: no pause is taken for a silence."""
        return min(conf().housekeeping_seconds * 5, (conf().lease_seconds - conf().lease_renew_seconds) / 4)

    def out_of_touch(self) -> None:
        """Note that the database could not be used: whatever runs may not have been renewed."""
        self._touched_at = float("-inf")

    def _lost(self, found: Sequence[Overdue]) -> list[Overdue]:
        """Return the jobs whose workers are gone.

        What runs here is not lost, whoever could not renew it. And what ran out long ago would have been rescued by
        now, if its row had not been locked: then its worker has the time to renew it from one look to the next.
        """
        mine = held_here()
        late = {job.lease_id for job in found if job.is_late}
        unseen, self._seen_late = late - self._seen_late, late
        return [job for job in found if job.lease_id not in mine and job.lease_id not in unseen]

    def _in_touch(self, asked_at: float) -> bool:
        """Return whether the database, which has just been written to, was there long enough for everybody to renew."""
        now = time.monotonic()
        # A lease can run out in a silence of this length: renewed just before it, and due again only after it.
        if now - self._touched_at > (conf().lease_seconds - conf().lease_renew_seconds) / 2:
            self._in_touch_since = now
        self._touched_at = now
        return asked_at - self._in_touch_since >= conf().lease_renew_seconds * 1.5

    def resend_every(self) -> float:
        """Return how often to look for lost messages, in seconds."""
        return min(conf().housekeeping_seconds * 5, conf().resend_seconds)

    def resend(self) -> bool:
        """Send jobs again whose message is evidently gone: the broker holds none for the queue, or others overtook."""
        waited = conf().resend_seconds
        more = False
        held = self._publisher.set_aside.held()
        for queue in maintain.suspect_queues(waited):
            if queue in held:
                continue
            if self._publisher.depth(queue) == 0:
                suspects = maintain.take_suspects(queue, waited, BATCH)
            else:
                suspects = maintain.take_overtaken(queue, waited, BATCH)
            if suspects:
                counters.add("resent", len(suspects))
                logger.warning("%d jobs of queue %s are sent again, their messages were lost.", len(suspects), queue)
            self._publish(suspects)
            more = more or len(suspects) == BATCH
        return more

    def tend_held(self) -> bool:
        """Free the jobs that waited for the code this worker has, and end those that waited for too long."""
        return self._held_back.look()

    def _wake(self, queues: Sequence[str]) -> None:
        """Called when jobs of these queues were freed."""
        self.dispatch_undispatched()

    def _publish(self, jobs: Sequence[Dispatchable]) -> bool:
        if not jobs:
            return False
        try:
            refused = self._publisher.publish([outgoing(job, retries=job.attempt) for job in jobs])
        except BaseException:
            _undispatch([job.id for job in jobs])
            raise
        _undispatch([job_id for message in refused for job_id in message.job_ids])
        return len(jobs) == BATCH

    def _rescue(self, job: Overdue) -> None:
        lease_id = secrets.token_hex(16)
        if not maintain.take_over(job, lease_id, conf().lease_renew_seconds):
            return
        claimed = claims.held(job.id, lease_id)
        if claimed is None:
            return
        policy = getattr(self._app.tasks.get(job.task), "policy", None) or RetryPolicy()
        policy = replace(policy, max_retries=claimed.max_retries)
        tries = outcomes.Tries(claimed.attempt - claimed.attempt_base, claimed.worker_losses)
        outcome = outcomes.after_loss(policy, tries, conf().max_worker_losses, random.random)
        failure = Failure("WorkerLost", f"The lease ran out: worker {job.worker} is gone, frozen or out of touch.")
        if record(job.id, lease_id, outcome, failure, lost_worker=True):
            # One that gives up is an error, and reported as such; nobody else says so.
            level = logging.ERROR if isinstance(outcome, outcomes.Dead) else logging.WARNING
            logger.log(level, "%s[%s] was rescued from worker %s: %s.", job.task, job.id, job.worker, outcome)
            if isinstance(outcome, outcomes.Dead) and (dead := maintain.job(job.id)):
                call_in_place(self._app, job.task, job.id, dead.options, WorkerLostError(failure.message))


def _undispatch(job_ids: Sequence[uuid.UUID]) -> None:
    try:
        maintain.undispatch(job_ids)
    except RowLocked:
        # It is noted when the row is free.
        losses.put(Unsent(job_ids))
