"""Celery's events of jobs, for Flower and `celery events`, sent by the worker's parent process where they are enabled.

https://docs.celeryq.dev/en/stable/userguide/monitoring.html#task-events
"""

import logging
import time
import uuid
from typing import Any

from jobs.core import outcome as outcomes
from jobs.core.outcome import Outcome
from jobs.ledger.attempts import Failure
from jobs.tasks.redaction import HIDDEN, hidden_names
from jobs.worker.reports import Report
from jobs.worker.reserved import ReservedJob
from jobs.worker.started_flags import started as flags

logger = logging.getLogger(__name__)


class Events:
    """Sends them. Any thread may call any method.

    Args:
        consumer: Celery's; it has a dispatcher of events where it is connected.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    @property
    def enabled(self) -> bool:
        """Whether anybody wants them. The dispatcher sends a worker's own events in any case."""
        dispatcher = self._consumer.event_dispatcher
        return dispatcher is not None and bool(
            dispatcher.enabled and (not dispatcher.groups or "task" in dispatcher.groups)
        )

    def received(self, job: ReservedJob) -> None:
        """Tell that a job was claimed."""
        if not self.enabled:
            return
        row, options = job.job, job.job.options or {}
        hidden = bool(hidden_names(row.task))
        self._send(
            job,
            "task-received",
            name=row.task,
            args=HIDDEN if hidden else "",
            kwargs=HIDDEN if hidden else "",
            root_id=options.get("root_id") or job.id,
            parent_id=None if row.parent_id is None else str(row.parent_id),
            retries=row.retries,
            eta=None,
            expires=None,
        )

    def started(self, job: ReservedJob) -> None:
        """Tell that a job has begun. Its `pid` is the worker's, as that of all its events."""
        if self.enabled:
            _, began_at = flags.process(job.slot)
            self._send(job, "task-started", timestamp=time.time() - time.monotonic() + began_at)

    def ended(self, job: ReservedJob, outcome: Outcome, failure: Failure | None, report: Report | None) -> None:
        """Tell what became of an attempt."""
        if not self.enabled:
            return
        if not job.is_told_begun:
            self.started(job)
        error = failure.summary if failure is not None else ""
        traceback = failure.traceback if failure is not None else ""
        match outcome:
            case outcomes.Succeeded():
                shown, runtime = (report.shown, report.runtime) if report is not None else ("", 0.0)
                self._send(job, "task-succeeded", result=shown, runtime=runtime)
            case outcomes.Dead():
                self._send(job, "task-failed", exception=error, traceback=traceback)
            case outcomes.Cancelled():
                self._send(job, "task-revoked", terminated=True, signum=None, expired=False)
            case outcomes.RetryIn():
                self._send(job, "task-retried", exception=error, traceback=traceback)
            case _:
                self._send(job, "task-retried", exception=error, traceback="")

    def cancelled_unbegun(self, job_id: uuid.UUID, task: str) -> None:
        """Tell of a job whose message came when it had been cancelled."""
        dispatcher = self._consumer.event_dispatcher
        if dispatcher is not None and self.enabled:
            dispatcher.send("task-received", uuid=str(job_id), name=task, args="", kwargs="", retries=0)
            dispatcher.send("task-revoked", uuid=str(job_id), terminated=False, signum=None, expired=False)

    def _send(self, job: ReservedJob, kind: str, **fields: Any) -> None:
        dispatcher = self._consumer.event_dispatcher
        if dispatcher is not None and job.task.send_events:
            try:
                dispatcher.send(kind, uuid=job.id, **fields)
            except Exception as exc:  # noqa: BLE001 (whoever watches must not keep anything from being done)
                logger.debug("The event %s of job %s could not be sent: %s", kind, job.id, exc)
