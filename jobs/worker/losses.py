"""What the parent process must record because the child could not. Kept in memory until the database has it."""

import logging
import queue
import random
import threading
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from celery import current_app
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker import state
from django.db import transaction

from jobs.compose.followers import enqueue_error_links, in_place
from jobs.conf import conf
from jobs.core import outcome as outcomes
from jobs.core.held_by import HeldBy
from jobs.core.outcome import Outcome, Reason, Tries
from jobs.deadletters import publisher
from jobs.deadletters.codec import Letter
from jobs.enqueue.message import RawMessage
from jobs.errors import EnqueueError
from jobs.ledger import attempts, claims, hold, maintain, operate
from jobs.ledger.attempts import Failure
from jobs.ledger.claims import Claimed
from jobs.ledger.sql import RowLocked
from jobs.worker.database import is_outage
from jobs.worker.executor import End, policy_of, record, succeed, succeed_late

if TYPE_CHECKING:
    from jobs.worker.request import JobRequest

logger = logging.getLogger(__name__)


_CANCELLED: tuple[Outcome, Failure] = (
    outcomes.Cancelled(),
    Failure("Cancelled", "An operator cancelled it while it ran."),
)
_BESIDE_IT: tuple[Outcome, Failure] = (
    outcomes.Released(),
    Failure("BatchEnded", "Another job of its batch was cancelled; it goes back to its queue."),
)


class Record(Protocol):
    """Something still to be written into the ledger."""

    def write(self) -> None:
        """Write it. Raises the error of database or broker where it must be tried again."""


@dataclass(frozen=True, slots=True)
class Loss:
    """An attempt whose end only the parent process knows.

    Attributes:
        error, message: what happened to it, where its outcome is still to be decided.
        worker_lost: whether it counts as the job killing its worker.
        cancelled: whether it was ended because an operator wanted that.
    """

    request: "JobRequest"
    error: str = ""
    message: str = ""
    worker_lost: bool = False
    cancelled: bool = False

    def write(self) -> None:
        """Record the end of the attempt, unless it was recorded before, or its lease was lost.

        Where the delivery had grown into a batch, all jobs of the batch share its end; but of those only the ones
        that an operator wants cancelled are.
        """
        for job_id in maintain.leased(self.request.lease_id):
            self._write(job_id, self.request.lease_id)

    def _write(self, job_id: uuid.UUID, lease_id: str) -> None:
        claimed = claims.held(job_id, lease_id)
        if claimed is None:
            return
        outcome, failure = self._decide(claimed), Failure(self.error, self.message)
        if self.cancelled:
            outcome, failure = _CANCELLED if operate.is_asked(job_id) else _BESIDE_IT
        became = record(job_id, lease_id, outcome, failure, lost_worker=self.worker_lost)
        if became is not None:
            _tell_celery(self.request, became, failure)

    def _decide(self, claimed: Claimed) -> Outcome:
        policy = policy_of(self.request.task, claimed)
        tries = Tries(claimed.attempt - claimed.attempt_base, claimed.worker_losses)
        if not self.worker_lost:
            return outcomes.after_error(TimeLimitExceeded(self.message), policy, tries, random.random)
        if state.should_stop is not None or state.should_terminate:
            # It was stopped with its worker; that says nothing about the job.
            return outcomes.Released()
        return outcomes.after_loss(policy, tries, conf().max_worker_losses, random.random)


@dataclass(frozen=True, slots=True)
class Decided:
    """Attempts whose outcomes the child decided and could not record: that of a job, or of some of a batch."""

    request: "JobRequest"
    ends: Sequence[End]

    def write(self) -> None:
        """Record each end that was not recorded before, the successes first: a broker that is away keeps none of them.

        What else runs under the lease has not run: its claim was committed, and the answer lost.
        """
        kept: Exception | None = None
        for end in sorted(self.ends, key=lambda end: not isinstance(end.outcome, outcomes.Succeeded)):
            try:
                self._write(end)
            except Exception as exc:
                if is_outage(exc):
                    raise
                # What holds one of them up, or takes it never, is none of the others'.
                kept = exc
        if kept is not None:
            raise kept
        put_back([self.request], message_lost=True)

    def _write(self, end: End) -> None:
        app, lease_id = self.request.task.app, self.request.lease_id
        became: Outcome | None = None
        failure = end.failure
        try:
            if not isinstance(end.outcome, outcomes.Succeeded):
                became = record(end.job_id, lease_id, end.outcome, failure)
            elif succeed(app, end, lease_id):
                became = end.outcome
        except EnqueueError as exc:
            failure = Failure("Misfit", f"What follows it cannot be enqueued: {exc}")
            became = record(end.job_id, lease_id, outcomes.Dead(Reason.INVALID), failure)
        if became is not None and end.job_id == self.request.job_id:
            _tell_celery(self.request, became, failure)


@dataclass(frozen=True, slots=True)
class Recalled:
    """A delivery that was claimed, and taken from the pool before it began, since its job was revoked."""

    request: "JobRequest"

    def write(self) -> None:
        """Cancel its job."""
        operate.ask_to_cancel([self.request.job_id])
        Loss(self.request, cancelled=True).write()


@dataclass(frozen=True, slots=True)
class Success:
    """An attempt that succeeded, which the pool left to the parent process to write."""

    request: "JobRequest"
    attempt: int

    @property
    def job_id(self) -> uuid.UUID:
        """The job's id in the ledger."""
        return self.request.job_id

    @property
    def lease_id(self) -> str:
        """The lease it ran under."""
        return self.request.lease_id

    @property
    def hostname(self) -> str:
        """The worker."""
        return str(self.request.hostname)

    def write(self) -> None:
        """Running → succeeded, if a try whose answer was lost did not do so."""
        attempts.succeed(self.job_id, self.lease_id)


@dataclass(frozen=True, slots=True)
class Late:
    """A success that was not written together with others: its lease was lost, or its row is locked."""

    request: "JobRequest"
    attempt: int

    def write(self) -> None:
        """Running → succeeded after all; else let it count if nobody has begun the job again, or refuse it."""
        if not attempts.succeed(self.request.job_id, self.request.lease_id):
            succeed_late(self.request.job_id, self.attempt, self.request.hostname)


@dataclass(frozen=True, slots=True)
class Condemned:
    """A job whose message was parked before it could be claimed: its task is unknown here, or its message broken."""

    job_id: uuid.UUID
    failure: Failure

    def write(self) -> None:
        """Queued → dead with its error links enqueued; its letter is on its way already."""
        with transaction.atomic():
            if not attempts.condemn(self.job_id, self.failure):
                return
            job = maintain.job(self.job_id)
            if job is not None:
                enqueue_error_links(current_app._get_current_object(), job)  # noqa: SLF001


@dataclass(frozen=True, slots=True)
class UnknownHere:
    """A job whose task this worker does not know: a worker with newer code may."""

    job_id: uuid.UUID
    failure: Failure

    def write(self) -> None:
        """Hold it back."""
        hold.hold_queued(self.job_id, HeldBy.UNKNOWN_TASK, self.failure)


@dataclass(frozen=True, slots=True)
class Unparked:
    """A message that cannot be run, of which only this worker knows any more: the broker did not take its letter."""

    letter: Letter

    def write(self) -> None:
        """Try again."""
        publisher.post(self.letter)


@dataclass(frozen=True, slots=True)
class Unadopted:
    """A foreign message that could not become a job: no row of the ledger says that there is one."""

    queue: str
    message: RawMessage

    def write(self) -> None:
        """Put it back into its queue."""
        publisher.send(self.queue, self.message)


@dataclass(frozen=True, slots=True)
class Unsent:
    """Jobs whose messages this worker had fetched and lost with its connection."""

    job_ids: Collection[uuid.UUID]

    def write(self) -> None:
        """Have them dispatched again at once."""
        maintain.undispatch(self.job_ids)


@dataclass(frozen=True, slots=True)
class Unbegun:
    """Deliveries that were claimed, if they were, and will not begin."""

    requests: Sequence["JobRequest"]

    def write(self) -> None:
        """Put them back; nobody has their messages any more."""
        put_back(self.requests, message_lost=True)


def put_back(requests: Sequence["JobRequest"], *, message_lost: bool) -> None:
    """Put back jobs that were claimed and have not begun. Those that an operator wants cancelled are."""
    leases = [request.lease_id for request in requests]
    if claims.put_back(leases, message_lost=message_lost) < len(leases):
        for request in requests:
            Loss(request, cancelled=True).write()


class Losses:
    """The records not yet written, in order. Filled by the worker's main thread, emptied by housekeeping.

    The thread that renews leases looks at them too.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Record] = queue.SimpleQueue()
        self._kept: list[Record] = []
        self._lock = threading.Lock()
        self._passed_by: dict[int, Record] = {}
        self.arrived = threading.Event()

    def put(self, record: Record) -> None:
        """Keep a record until it is written; wakes housekeeping."""
        self._queue.put(record)
        self.arrived.set()

    def unwritten(self) -> list[Record]:
        """Return what is still to be written."""
        with self._lock:
            while not self._queue.empty():
                self._kept.append(self._queue.get_nowait())
            return list(self._kept)

    def holders(self) -> list["JobRequest"]:
        """Return the deliveries whose leases must be held until their end is recorded."""
        return [
            record.request
            for record in self.unwritten()
            if isinstance(record, (Loss, Recalled, Decided, Success, Late))
        ]

    def write_all(self) -> None:
        """Write every record, each on its own. Raises the first error; what failed is kept.

        What concerns a row that somebody else's transaction holds is kept too, and is no error.
        """
        error: Exception | None = None
        for entry in self.unwritten():
            try:
                entry.write()
            except RowLocked as exc:
                self._pass_by(entry, exc)
            except Exception as exc:  # noqa: BLE001 (kept and raised below)
                error = error or exc
            else:
                with self._lock:
                    self._kept.remove(entry)
                self._passed_by.pop(id(entry), None)
        if error is not None:
            raise error

    def _pass_by(self, entry: Record, exc: RowLocked) -> None:
        # Said once of each entry, which is looked at every second.
        if id(entry) not in self._passed_by:
            self._passed_by[id(entry)] = entry
            logger.warning("%s", exc)


losses = Losses()


def _tell_celery(request: "JobRequest", outcome: Outcome, failure: Failure) -> None:
    """Let events and error links say what the ledger says."""
    match outcome:
        case outcomes.Dead():
            logger.error("%s[%s] is dead: %s", request.name, request.id, failure.summary)
            request.send_event("task-failed", exception=failure.summary, traceback=failure.traceback)
            error: Any = WorkerLostError(failure.message)
            context = request._context  # noqa: SLF001
            # The others are enqueued with the outcome.
            context.errbacks = in_place(request.task.app, context.errbacks)
            request.task.backend.mark_as_failure(request.id, error, request=context, store_result=False)
        case outcomes.RetryIn(delay):
            logger.warning("%s[%s] is tried again in %.1f s: %s", request.name, request.id, delay, failure.summary)
            request.send_event("task-retried", exception=failure.summary, traceback=failure.traceback)
        case outcomes.Succeeded():
            request.send_event("task-succeeded", result="", runtime=0)
        case outcomes.Cancelled():
            request.send_event("task-revoked", terminated=True, signum=None, expired=False)
        case _:
            request.send_event("task-retried", exception=failure.summary, traceback="")
