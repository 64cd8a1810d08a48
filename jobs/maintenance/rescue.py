"""Rescue: jobs whose lease ran out are taken back. Their worker is gone."""

import logging
import secrets
import time
from collections.abc import Sequence

from celery import Celery
from celery.exceptions import WorkerLostError
from django.db import transaction

from jobs.compose.changes import follow
from jobs.compose.followers import call_in_place
from jobs.conf import conf
from jobs.core import outcome as outcomes
from jobs.deadletters.publisher import BrokerGone, give_up
from jobs.ledger import leases, maintain
from jobs.ledger.attempts import Ended, Failure
from jobs.ledger.failures import state_after
from jobs.ledger.leases import Overdue
from jobs.ledger.record import record_many
from jobs.tasks.task import JobTask
from jobs.worker.decision import after_loss
from jobs.worker.engine import Engine

logger = logging.getLogger(__name__)

#: Jobs rescued in one go.
BATCH = 500

#: A lease that ran out this long before it could have been found, in seconds, was found before.
LATE = 2.0


class Rescue:
    """Looks for lost jobs. Used by one thread of a worker."""

    def __init__(self, app: Celery, engine: Engine) -> None:
        self._app, self._engine = app, engine
        #: Since when the database has been written to without a longer silence, and when it last was.
        self._in_touch_since = self._touched_at = float("-inf")
        #: The leases that had run out long before they were first seen here.
        self._seen_late: set[str] = set()

    def look(self) -> bool:
        """Take back jobs whose lease ran out: their worker is gone.

        After the database could not be written to, every worker gets the time to renew first; else the first one to
        reconnect would take the others' running jobs for lost. That it can be read says nothing.
        """
        asked_at = time.monotonic()
        maintain.try_to_write()
        found = leases.overdue(BATCH, late_seconds=self.every() + LATE)
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

    def every(self) -> float:
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
        mine = set(self._engine.reserved.leases())
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

    def _rescue(self, job: Overdue) -> None:
        lease_id = secrets.token_hex(16)
        if not leases.take_over(job, lease_id, conf().lease_renew_seconds):
            return
        claimed = leases.held(job.id, lease_id)
        if claimed is None:
            return
        task = self._app.tasks.get(job.task)
        # What is no job's task any more has no policy.
        outcome = after_loss(task if isinstance(task, JobTask) else None, claimed)
        failure = Failure("WorkerLost", f"The lease ran out: worker {job.worker} is gone, frozen or out of touch.")
        if self._record(Ended(job.id, lease_id, claimed.attempt, outcome, failure, lost_worker=True)):
            # One that gives up is an error, and reported as such; nobody else says so.
            level = logging.ERROR if isinstance(outcome, outcomes.Dead) else logging.WARNING
            logger.log(level, "%s[%s] was rescued from worker %s: %s.", job.task, job.id, job.worker, outcome)
            if isinstance(outcome, outcomes.Dead) and (dead := maintain.job(job.id)):
                call_in_place(self._app, job.task, job.id, dead.options, WorkerLostError(failure.message))

    def _record(self, end: Ended) -> bool:
        """Write a lost job's end. Returns false where it is not this worker's any more, or its row is locked."""
        if isinstance(end.outcome, outcomes.Dead) and end.failure is not None:
            return give_up(end.id, end.lease_id, end.outcome.reason, end.failure, lost_worker=True)
        with transaction.atomic():
            # Cancelled where an operator wanted no further attempt.
            became = record_many([end]).became.get(end.id)
            if became is not None and (job := maintain.job(end.id)):
                follow(self._app, job, state_after(became))
        return became is not None
