"""Dead letters that fit the ledger again: one is made for a dead job that has none, and closed for one that succeeded.

A job is dead once the broker has its letter; a broker that is wiped, or restarted without a disk, before the letter is
archived loses it. The row has all that was in it.
"""

import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

from jobs.conf import conf
from jobs.core.outcome import Reason
from jobs.core.states import State
from jobs.deadletters import codec
from jobs.deadletters.archiver import store
from jobs.ledger import maintain
from jobs.ledger.attempts import Failure
from jobs.models import DeadLetter, Job

logger = logging.getLogger(__name__)

#: Jobs looked at in one go.
BATCH = 100

#: How many turns of maintenance a letter may be on its way before it is taken for lost.
PATIENCE = 30

#: A letter is made only within this share of the time for which dead jobs are kept; what nobody missed is not news.
SHARE = 0.5

#: After a look that found all, the next one goes back this many seconds further than that one had to.
OVERLAP = 60.0


class MissingDeadLetters:
    """Looks for dead jobs without a letter, and for open letters of jobs that succeeded. Used by one thread."""

    def __init__(self) -> None:
        self._looked_back = conf().dead_retention_seconds * SHARE

    def mend(self) -> bool:
        """Make what is missing, and close what has been answered. Returns whether there may be more."""
        patience = PATIENCE * conf().housekeeping_seconds
        found = list(_without_letter(patience, self._looked_back))
        for job in found:
            _make(job)
        if len(found) < BATCH:
            self._looked_back = min(self._looked_back, 2 * patience + OVERLAP)
        closed = close_answered()
        if found or closed:
            logger.warning(
                "%d lost dead letters were made again, %d of jobs that succeeded closed.", len(found), closed
            )
        return len(found) == BATCH


def _without_letter(patience: float, back: float) -> list[Job]:
    letter = DeadLetter.objects.filter(job_id=OuterRef("pk"), attempt__gte=OuterRef("attempt"))
    return list(
        Job.objects.filter(
            ~Exists(letter),
            state=State.DEAD,
            finished_at__lt=Now() - timedelta(seconds=patience),
            finished_at__gt=Now() - timedelta(seconds=back + patience),
        ).order_by("finished_at")[:BATCH]
    )


def _make(job: Job) -> None:
    row = maintain.job(job.pk)
    if row is None or job.finished_at is None:
        return
    kind, _, message = job.last_error.partition(": ")
    letter = codec.from_job(row, job.attempt, reason_of(job), Failure(kind, message), job.finished_at)
    store([letter.message], job.queue)


def reason_of(job: Job) -> Reason:
    """Return why a dead job gave up, as far as its row tells."""
    kind = job.last_error.partition(":")[0]
    tries = job.attempt - job.attempt_base
    if kind in _BY_ERROR:
        return _BY_ERROR[kind]
    if job.worker_losses >= conf().max_worker_losses:
        return Reason.POISON
    if job.max_retries is not None and tries > job.max_retries:
        return Reason.EXHAUSTED
    return Reason.PERMANENT


#: The engine's own errors, which say why.
_BY_ERROR = {
    "Expired": Reason.EXPIRED,
    "DeadlinePassed": Reason.DEADLINE,
    "Misfit": Reason.INVALID,
    "Unrunnable": Reason.INVALID,
    "UnknownTask": Reason.UNKNOWN_TASK,
    "NoKey": Reason.NO_KEY,
    "Reject": Reason.REJECTED,
}


def close_answered() -> int:
    """Close the open letters of jobs that have succeeded since: there is nothing left to do. Returns how many."""
    answered = DeadLetter.objects.filter(replayed_at=None, discarded_at=None, job__state=State.SUCCEEDED)
    return close(list(answered.order_by("pk").values_list("job_id", flat=True)[:BATCH]))


def close(job_ids: Sequence[uuid.UUID]) -> int:
    """Note that the open letters of these jobs are answered by the jobs themselves. Returns how many."""
    if not job_ids:
        return 0
    found = DeadLetter.objects.filter(job_id__in=job_ids, replayed_at=None, discarded_at=None)
    return found.update(replayed_at=timezone.now(), replay_job_id=F("job_id"))
