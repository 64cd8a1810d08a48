"""Celery's result backend over the ledger: `AsyncResult(id)` tells what the job's row says."""

import time
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

from celery import states
from celery.backends.base import BaseBackend
from celery.exceptions import TimeoutError as CeleryTimeout
from celery.result import AsyncResult
from django.apps import apps

from jobs.compose.results import class_of
from jobs.core.states import State
from jobs.errors import UnknownJob
from jobs.ledger.attempts import forget_result

if TYPE_CHECKING:
    from jobs.models import Attempt, Job

#: What Celery calls the states of a job.
STATUS = {
    State.SCHEDULED: states.PENDING,
    State.QUEUED: states.PENDING,
    State.RUNNING: states.STARTED,
    State.RETRYING: states.RETRY,
    State.SUCCEEDED: states.SUCCESS,
    State.DEAD: states.FAILURE,
    State.CANCELLED: states.REVOKED,
}

#: How long `get()` waits for a job to be there at all, in seconds: a call by a message becomes one in a worker.
UNKNOWN_SECONDS = 5.0

#: The first pause between two looks, in seconds; later ones are a tenth of the time waited, up to `interval`.
FIRST_PAUSE = 0.005


class LedgerBackend(BaseBackend):
    """Reads the ledger, which workers write: states, times and errors always, values where the task keeps them."""

    def as_uri(self, include_password: bool = False) -> str:
        """Return what a worker's banner shows."""
        return "ledger://"

    def store_result(self, task_id: str, result: Any, *args: Any, **kwargs: Any) -> Any:
        """Called by Celery's tracer. The ledger has it already."""
        return result

    def ensure_chords_allowed(self) -> NoReturn:
        """Refuse a chord."""
        raise NotImplementedError("Chords are not supported: enqueue what follows from the last job of the group.")

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_interval: Callable[[], object] | None = None,
    ) -> dict[str, Any]:
        """Wait until a job has ended, and return its record.

        Raises:
            UnknownJob: there is none with this id.
            celery.exceptions.TimeoutError: it has not ended in `timeout` seconds.
        """
        self._ensure_not_eager()
        began_at = time.monotonic()
        while True:
            job = self._job(task_id)
            if job is not None and job.is_final:
                return self._record(job)
            if on_interval:
                on_interval()
            waited = time.monotonic() - began_at
            ends_at = UNKNOWN_SECONDS if job is None else float("inf")
            left = min(ends_at, float("inf") if timeout is None else timeout) - waited
            if left <= 0 and job is None:
                raise UnknownJob(
                    f"{task_id!r} is the id of no job: it was never committed, or was deleted after its retention, or"
                    " it is a plain Celery task, of which nothing is kept."
                )
            if left <= 0:
                raise CeleryTimeout(f"Job {task_id} has not ended in {timeout:g} s; it is {job and job.state}.")
            time.sleep(min(max(FIRST_PAUSE, waited / 10), interval, left))

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        job = self._job(task_id)
        if job is None:
            # What Celery says of an id that it does not know.
            return {"status": states.PENDING, "result": None}
        return self._record(job)

    def _forget(self, task_id: str) -> None:
        job = self._job(task_id)
        if job is not None:
            forget_result(job.pk)

    def _job(self, task_id: str) -> "Job | None":
        try:
            found: Job | None = apps.get_model("jobs", "Job").objects.filter(pk=uuid.UUID(str(task_id))).first()
        except ValueError:
            return None
        return found

    def _record(self, job: "Job") -> dict[str, Any]:
        status = STATUS[State(job.state)]
        failed = job.attempts.order_by("number", "id").last() if status in states.EXCEPTION_STATES else None
        date_done: datetime | None = job.finished_at
        return dict(
            self.meta_from_decoded(
                {
                    "task_id": str(job.pk),
                    "status": status,
                    "result": job.result if status == states.SUCCESS else _error(job, status, failed),
                    "traceback": (failed.traceback or None) if failed else None,
                    "children": [
                        AsyncResult(str(pk), app=self.app, backend=self)
                        for pk in type(job).objects.filter(parent_id=job.pk).order_by("id").values_list("pk", flat=True)
                    ],
                    "date_done": date_done,
                    "name": job.task,
                    "worker": job.worker or None,
                    "retries": max(job.attempt - job.attempt_base - 1, 0),
                    "queue": job.queue,
                }
            )
        )


def _error(job: "Job", status: str, failed: "Attempt | None") -> dict[str, Any] | None:
    """Return an error as Celery's backends keep it."""
    if status not in states.EXCEPTION_STATES:
        return None
    if status == states.REVOKED:
        return {"exc_module": "celery.exceptions", "exc_type": "TaskRevokedError", "exc_message": job.last_error}
    if failed is None:
        kind, _, message = job.last_error.partition(": ")
        return {"exc_module": None, "exc_type": kind or "Exception", "exc_message": message}
    module, name = class_of(failed.error_type, failed.traceback)
    return {"exc_module": module, "exc_type": name, "exc_message": failed.error}
