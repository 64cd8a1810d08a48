"""A delivery, as the worker's parent process sees it: it records what a dead child cannot."""

import contextlib
import logging
import os
import secrets
import signal
import time
from dataclasses import astuple
from datetime import datetime
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Ignore, InvalidTaskError, Terminated, TimeLimitExceeded, WorkerLostError
from celery.platforms import signals as platform_signals
from celery.worker import state
from celery.worker.request import Request

from jobs.core.delivery import Body, Malformed, read_body, read_headers
from jobs.core.job_ids import ledger_id
from jobs.deadletters.codec import resendable
from jobs.enqueue.enqueuer import json_text
from jobs.enqueue.message import LEDGER_HEADER
from jobs.errors import InvalidArguments
from jobs.ledger.attempts import OVERTIME
from jobs.ledger.claims import Claimed
from jobs.tasks.redaction import HIDDEN, hidden_names, shown_arguments
from jobs.worker import started_flags
from jobs.worker.adopt import FOREIGN_ETA, FOREIGN_EXPIRES
from jobs.worker.claim import CLAIMED, IN_DOUBT, BegunBefore, HeldBack, NotAdopted
from jobs.worker.claimer import handover
from jobs.worker.event_sync import untold
from jobs.worker.exchange import exchange
from jobs.worker.executor import Unrecorded
from jobs.worker.losses import Decided, Loss, Unadopted, Unsent, losses
from jobs.worker.revoke import Revoked
from jobs.worker.successes import OFFERED, Left, successes

logger = logging.getLogger(__name__)


class JobRequest(Request):
    """Celery's request for a job. Each delivery has a lease id of its own, known to parent and child alike."""

    _body: Any
    _decoded: bool

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Wrap the `on_success` that Celery writes, for each task, into a class of its own made from this one."""
        super().__init_subclass__(**kwargs)
        on_success = cls.on_success

        def returned(self: JobRequest, result: tuple[bool, Any, float], **kwargs: Any) -> Any:
            self.ended = True
            failed, returned, runtime = result
            if isinstance(returned, Left):
                # Before Celery forgets the delivery: somebody must hold its lease all the time.
                successes.put(self, returned.attempt)
                returned = returned.result
            try:
                return on_success(self, (failed, returned, runtime), **kwargs)
            finally:
                handover.ended(self, runtime)

        cls.on_success = returned

    def __init__(self, message: Any, *, headers: Any = None, **kwargs: Any) -> None:
        try:
            checked = read_headers(message.headers if headers is None else headers, LEDGER_HEADER)
            super().__init__(message, headers=checked, **kwargs)
            body = read_body(self._body if self._decoded else message.payload)
        except Malformed as exc:
            raise InvalidTaskError(str(exc)) from exc
        self._eta: datetime | None
        self._expires: datetime | None
        if body.is_partial:
            # What else is embedded would go into the request, over what the engine has put there.
            self._body, self._decoded = (body.args, body.kwargs, body.embedded), True
            self._content_type = self._content_encoding = None
        if LEDGER_HEADER not in self._request_dict:
            self._check_adoptable(body)
        self.job_id = ledger_id(self.id)
        self.lease_id = secrets.token_hex(16)
        self._request_dict["lease_id"] = self.lease_id
        #: When the pool began it, by the machine's monotonic clock.
        self.began_at: float | None = None
        #: Whether the pool has come back from it, with whatever result.
        self.ended = False
        self._cancelled = False
        self._last_signal: int = signal.SIGKILL
        self._request_dict["parent_pid"] = os.getpid()
        #: By which whoever runs it says that its body begins, and ends.
        self.mark = self._request_dict[started_flags.MARK] = started_flags.unbegun()
        if hidden_names(self.name):
            # What Celery writes into events and logs, and adds to them for whoever formats them.
            self._argsrepr = self._kwargsrepr = HIDDEN
            self._request_dict |= {"argsrepr": HIDDEN, "kwargsrepr": HIDDEN}
        self._request_dict[OFFERED] = exchange.is_open
        # The worker holds nothing for later and drops nothing for age: both are the ledger's to decide. Only a
        # foreign message has these.
        if self._eta is not None:
            self._request_dict[FOREIGN_ETA], self._eta = self._eta.isoformat(), None
        if self._expires is not None:
            self._request_dict[FOREIGN_EXPIRES], self._expires = self._expires.isoformat(), None

    def info(self, safe: bool = False) -> dict[str, Any]:
        """Return what `celery inspect` and Flower show of it: arguments as people may see them."""
        found: dict[str, Any] = super().info(safe)
        if not safe:
            found["args"], found["kwargs"] = shown_arguments(self.name, self._args, self._kwargs)
        return found

    def _check_adoptable(self, body: Body) -> None:
        try:
            json_text(self._task, "args", body.args)
            json_text(self._task, "kwargs", body.kwargs)
            json_text(self._task, "what follows", body.embedded)
        except InvalidArguments as exc:
            raise InvalidTaskError(str(exc)) from exc

    @property
    def is_claimed_together(self) -> bool:
        """Whether it may be claimed together with others, before the pool has it."""
        return LEDGER_HEADER in self._request_dict and not self._task.batch

    @property
    def is_claimed(self) -> bool:
        """Whether its job was claimed before the pool has it."""
        return CLAIMED in self._request_dict

    def claim(self, claimed: Claimed, begins_by: float) -> None:
        """Note that its job is claimed and may begin until then, by the monotonic clock."""
        self.begins_by = begins_by
        self._request_dict[CLAIMED] = astuple(claimed), begins_by, started_flags.unbegun()

    def unclaim(self) -> None:
        """Note that its job is not claimed any more: whoever runs it must do so."""
        del self._request_dict[CLAIMED]

    def doubt(self) -> None:
        """Note that its job may be claimed, or may not: the database did not answer."""
        self._request_dict[IN_DOUBT] = True

    @property
    def is_in_doubt(self) -> bool:
        """Whether nobody knows if its job was claimed."""
        return IN_DOUBT in self._request_dict

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Called when the pool has begun it."""
        super().on_accepted(pid, time_accepted)
        # Celery's own note of it is by the wall clock, which may be put forward or back.
        self.began_at = time_accepted
        handover.began(self)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Called when a time limit has passed; after the hard one the child is killed."""
        if soft or state.should_terminate:
            super().on_timeout(soft, timeout)
            return
        state.task_ready(self)
        self._lost(OVERTIME, f"The hard time limit of {timeout:g} s passed.", worker_lost=False)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Called when the child raised, or died."""
        self.ended = True
        try:
            self._failed(exc_info, send_failed_event, return_ok)
        finally:
            handover.ended(self, time.monotonic() - self.began_at if self.began_at is not None else 0.0)

    def _failed(self, exc_info: Any, send_failed_event: bool, return_ok: bool) -> None:
        exc = exc_info.exception
        if isinstance(exc, ExceptionWithTraceback):
            exc = exc.exc
        if isinstance(exc, Unrecorded):
            state.task_ready(self)
            losses.put(Decided(self, exc.args[0]))
        elif isinstance(exc, BegunBefore):
            state.task_ready(self)
            self._lost("WorkerLost", "The process that had begun the job died.", worker_lost=True)
        elif isinstance(exc, TimeLimitExceeded):
            # `on_timeout` has dealt with it.
            state.task_ready(self)
        elif isinstance(exc, (WorkerLostError, Terminated, SystemExit, KeyboardInterrupt)):
            state.task_ready(self)
            self._lost("WorkerLost", f"The process that ran the job died: {exc}.", worker_lost=True)
        elif isinstance(exc, MemoryError):
            # Celery would end the whole worker for it. Its process goes on, and has recorded the end if it could.
            state.task_ready(self)
            self._lost("MemoryError", "The process that ran the job was out of memory.", worker_lost=True)
            self.send_event("task-failed", exception=repr(exc), traceback=exc_info.traceback)
        else:
            if isinstance(exc, HeldBack):
                losses.put(Unsent([self.job_id]))
            if isinstance(exc, NotAdopted):
                losses.put(Unadopted(self._queue(), resendable(self.message)))
            if isinstance(exc, Ignore):
                untold.put(self)
            super().on_failure(exc_info, send_failed_event, return_ok)

    def _queue(self) -> str:
        key = self.delivery_info.get("routing_key")
        return str(key) if key in self.app.amqp.queues else self.task.queue

    def revoked(self) -> bool:
        """Return whether Celery's lists of revoked tasks keep it from running.

        Of a job that the ledger knows, the ledger says whether it is cancelled: it may have been put back since.
        """
        if LEDGER_HEADER in self._request_dict and not self.stamped_headers:
            return False
        return bool(super().revoked())

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        # It was revoked by a stamp, or adopted before: then the ledger must know.
        super()._announce_revoked(reason, terminated, signum, expired)
        losses.put(Revoked([self.id]))

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """Called by Celery's `revoke(terminate=True)`: it is asked for in the ledger, and done with this signal."""
        self._last_signal = platform_signals.signum(signal or "TERM")
        losses.put(Revoked([self.id], terminate=True))

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """Called when the worker must end at once. Threads cannot be ended: their jobs are handed back with it."""
        if self._in_pool_process:
            super().cancel(pool, signal, emit_retry)

    def cancel_by_operator(self) -> None:
        """End the job now: kill the pool process that runs it, or, in a pool of threads, take the job from it."""
        if self._cancelled:
            return
        self._cancelled = True
        if self._in_pool_process:
            os.kill(self.worker_pid, self._last_signal)
        else:
            state.task_ready(self)
            self._lost("Cancelled", "", worker_lost=False)

    def end_lost(self) -> None:
        """End the job, whose lease was lost: kill the pool process that runs it. Threads cannot be ended."""
        logger.warning("[%s] the lease was lost while it ran; the job is another worker's by now.", self.id)
        if self._in_pool_process and not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.worker_pid, signal.SIGKILL)

    @property
    def _in_pool_process(self) -> bool:
        return self.worker_pid not in {None, os.getpid()}

    def _lost(self, error: str, message: str, *, worker_lost: bool) -> None:
        cancelled = self._cancelled
        losses.put(Loss(self, error, message, worker_lost=worker_lost and not cancelled, cancelled=cancelled))
