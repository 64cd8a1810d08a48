"""Maintenance of jobs that wait for newer code: whoever can run one frees it; one that waited too long gives up."""

import logging
import secrets
import uuid
from collections.abc import Callable, Sequence

from celery import Celery
from celery.exceptions import NotRegistered
from django.db import transaction
from django.utils import timezone
from kombu.utils.json import loads

from jobs.compose.changes import follow
from jobs.compose.followers import call_in_place, enqueue_error_links
from jobs.conf import conf
from jobs.core.held_by import HeldBy
from jobs.core.outcome import Reason
from jobs.core.states import State
from jobs.core.versions import version_of
from jobs.deadletters import codec, publisher
from jobs.deadletters.publisher import BrokerGone
from jobs.errors import EncryptionError, InvalidArguments
from jobs.ledger import hold
from jobs.ledger.attempts import Failure
from jobs.ledger.hold import HeldJob
from jobs.tasks.encryption import arguments_of
from jobs.tasks.versions import NewerVersion, upgraded

logger = logging.getLogger(__name__)

#: Jobs looked at in one go.
BATCH = 200


class HeldBack:
    """A worker's look at the jobs that are held back, some of them at a time.

    Args:
        app: the application whose tasks this worker knows.
        freed: told the queues of jobs that were freed.
    """

    def __init__(self, app: Celery, freed: Callable[[Sequence[str]], None]) -> None:
        self._app = app
        self._freed = freed
        self._after: uuid.UUID | None = None

    def look(self) -> bool:
        """Free what this worker can run, and end what has waited too long. Returns whether there are more."""
        found = hold.held(conf().deploy_grace, BATCH, self._after)
        self._after = found[-1].id if len(found) == BATCH else None
        able = {job.id for job in found if self._can_run(job)}
        if queues := hold.unhold(sorted(able)):
            logger.info("%d jobs waited for newer code, or for a key, which this worker has.", len(able))
            self._freed(queues)
        for job in found:
            if job.is_overdue and job.id not in able:
                self._give_up(job)
        return self._after is not None

    def _can_run(self, job: HeldJob) -> bool:
        task = self._app.tasks.get(job.task)
        if task is None or job.by == HeldBy.UNKNOWN_TASK:
            return task is not None
        try:
            given = arguments_of(loads(job.args), loads(job.kwargs))
            args, kwargs = upgraded(task, version_of(job.options), *given)
        except (NewerVersion, EncryptionError):
            return False
        except Exception:  # noqa: BLE001 (what an upgrade function raises is the error of an attempt)
            return True
        try:
            task.check_arguments(args, kwargs)
        except InvalidArguments:
            return False
        return True

    def _give_up(self, job: HeldJob) -> None:
        lease_id = secrets.token_hex(16)
        taken = hold.take(job, lease_id, conf().lease_seconds)
        if taken is None:
            return
        what, kind = ("a key", "NoKey") if job.by == HeldBy.NO_KEY else ("newer code", "NeedsNewerCode")
        waited = f"It waited for {what} since {job.since:%Y-%m-%d %H:%M} UTC (JOBS_DEPLOY_GRACE)."
        failure = Failure(kind, f"{waited} {job.last_error}")
        letter = codec.from_job(taken, taken.attempt, Reason(job.by.value), failure, timezone.now())
        try:
            publisher.post(letter)
        except BrokerGone:
            hold.hold_again(job, lease_id)
            raise
        with transaction.atomic():
            if not hold.give_up(job, lease_id, failure):
                return
            enqueue_error_links(self._app, taken)
            follow(self._app, taken, State.DEAD)
        logger.error("%s[%s] is dead: %s", job.task, job.id, failure.summary)
        call_in_place(self._app, job.task, job.id, taken.options, NotRegistered(job.task))
