"""Whose job a delivery brings, and whether it may run: the parent process has claimed it, or it is claimed now."""

import contextlib
import logging
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celery.exceptions import Ignore
from celery.worker import state as worker_state

from jobs.conf import conf
from jobs.core.delivery import OWN
from jobs.enqueue.message import LEDGER_HEADER
from jobs.ledger import claims, maintain
from jobs.ledger.claims import Claimed
from jobs.ledger.sql import RowLocked
from jobs.worker import started_flags
from jobs.worker.adopt import adopt
from jobs.worker.database import PATIENCE_AFTER, PATIENCE_BEFORE, DatabaseGone, patiently

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

logger = logging.getLogger(__name__)

#: In a request whose job the parent process has claimed: what the executor must know, as a tuple; until when, by the
#: machine's monotonic clock, it may begin; and its mark among the `beginnings`.
CLAIMED = OWN + "claimed"

#: In a request whose job the parent process may have claimed: the database did not answer.
IN_DOUBT = OWN + "claim_in_doubt"


class NotOurs(Ignore):
    """Raised to tell Celery that there is nothing to run: another delivery has the job, or it has ended."""


class NothingToRun(NotOurs):
    """Raised where the job delivered runs elsewhere, has ended, or waits."""


class HeldBack(NothingToRun):
    """Raised where the job delivered waits, and a transaction that relies on that holds it: it is to be sent again."""


class NotAdopted(NotOurs):
    """Raised where a foreign message cannot become a job now. It has no row to be sent again from: it is put back."""


class BegunBefore(Ignore):
    """Raised where a process of the pool gets a job that another one had begun when it died."""


def claim(task: "JobTask", job_id: uuid.UUID, lease_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Claimed:
    """Take the delivered job, or adopt it. Raises NotOurs where there is nothing to run, or nothing can be done now."""
    request = task.request
    is_foreign = not request.get(LEDGER_HEADER)
    if made := request.get(CLAIMED):
        return _claimed_before(lease_id, *made)
    if worker_state.should_stop is not None and os.getpid() == request.parent_pid:
        # A thread of a stopping worker: what has not begun goes back at once.
        if is_foreign:
            raise NotAdopted("The worker is stopping.")
        with contextlib.suppress(DatabaseGone):
            patiently(lambda _: maintain.undispatch([job_id]), PATIENCE_AFTER)
        raise NotOurs("The worker is stopping.")
    seconds, worker = conf().lease_seconds, request.hostname

    def take(again: bool) -> Claimed | None:
        if (again or request.get(IN_DOUBT)) and (mine := claims.held(job_id, lease_id)):
            return mine
        try:
            claimed = claims.claim(job_id, lease_id=lease_id, lease_seconds=seconds, worker=worker)
        except RowLocked as exc:
            raise HeldBack(str(exc)) from exc
        if claimed is None and is_foreign:
            return adopt(task, job_id, args, kwargs)
        return claimed

    try:
        claimed = patiently(take, PATIENCE_BEFORE)
    except DatabaseGone as exc:
        logger.warning(
            "%s[%s] was not begun, the database is gone (%s); it will be sent again.", task.name, job_id, exc
        )
        raise (NotAdopted if is_foreign else NotOurs)("The database is gone.") from exc
    if claimed is None:
        raise NothingToRun("There is nothing to run: the job runs elsewhere, has ended, or waits.")
    return claimed


def _claimed_before(lease_id: str, columns: Sequence[Any], begins_by: float, mark: int) -> Claimed:
    if not started_flags.begin(mark):
        raise BegunBefore("A process that died had begun it.")
    if time.monotonic() <= begins_by:
        return Claimed(*columns)
    # Its parent process may take it for lost by now.
    with contextlib.suppress(DatabaseGone):
        patiently(lambda _: claims.put_back([lease_id], message_lost=True), PATIENCE_AFTER)
    raise NotOurs("It was too long on its way to this process.")
