"""Celery's result backend over the ledger: `AsyncResult(id)` tells what the job's row says."""

import ast
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from celery import states
from celery.backends.base import BaseBackend
from celery.exceptions import ImproperlyConfigured, TimeoutError as CeleryTimeout
from celery.result import AsyncResult, ResultBase, result_from_tuple
from django.apps import apps

from jobs.compose import foreign_chords
from jobs.compose.ends import Pauses, check_timeout
from jobs.compose.results import class_of
from jobs.core.job_ids import ledger_id
from jobs.core.places import ids_in
from jobs.core.states import State
from jobs.enqueue.gathering import announce, gathered
from jobs.errors import UnknownJob
from jobs.ledger import groups
from jobs.ledger.attempts import forget_result
from jobs.ledger.groups import why_failed
from jobs.tasks.encryption import readable

if TYPE_CHECKING:
    from jobs.models import Attempt, Job, JobGroup

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


class LedgerBackend(BaseBackend):
    """Reads the ledger, which workers write: states, times and errors always, values where the task keeps them."""

    def as_uri(self, include_password: bool = False) -> str:
        """Return what a worker's banner shows."""
        return "ledger://"

    def store_result(self, task_id: str, result: Any, *args: Any, **kwargs: Any) -> Any:
        """Called by Celery's tracer. The ledger has it already."""
        return result

    def ensure_chords_allowed(self) -> None:
        """Allow chords: a group's row counts its members."""

    def apply_chord(self, header_result_args: Any, body: Any, **kwargs: Any) -> None:
        """Called by a chord before it enqueues its header."""
        announce(header_result_args[0], body)

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Called by a group before it enqueues the last task of a chord's header."""
        group = gathered(ledger_id(group_id))
        if group is not None:
            group.size = chord_size

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> None:
        """Called by Celery's tracer for plain tasks, of which no group is made: another program called their chord."""
        if body := getattr(request, "chord", None):
            foreign_chords.tell(request.task, body, request.group)

    def wait_for_pending(
        self,
        result: AsyncResult,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_message: Callable[..., object] | None = None,
        on_interval: Callable[[], object] | None = None,
        callback: Callable[..., object] | None = None,
        propagate: bool = True,
    ) -> Any:
        """Wait until a result is there, or what it waits for has failed. Raises as `wait_for`."""
        self._ensure_not_eager()
        if on_message is not None:
            raise ImproperlyConfigured("Backend does not support on_message callback")
        meta = self.wait_for(result.id, timeout, interval, no_ack, on_interval, before=result.parent)
        if on_interval and meta["status"] in states.PROPAGATE_STATES:
            # It raises the error of what came before, where that is why this one has failed.
            on_interval()
        result._maybe_set_cache(meta)  # noqa: SLF001 (as the method it overrides)
        return result.maybe_throw(propagate=propagate, callback=callback)

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_interval: Callable[[], object] | None = None,
        before: ResultBase | None = None,
    ) -> dict[str, Any]:
        """Wait until a job has ended, and return its record.

        `before` is what has to end before the job can be there: the step before it in a chain, or a chord's header.

        Raises:
            UnknownJob: there is none with this id.
            ValueError: the timeout is none.
            celery.exceptions.TimeoutError: it has not ended in `timeout` seconds.
        """
        self._ensure_not_eager()
        check_timeout(timeout)
        with Pauses(interval) as pauses:
            return self._waited_for(task_id, timeout, pauses, on_interval, before)

    def _waited_for(
        self,
        task_id: str,
        timeout: float | None,
        pauses: Pauses,
        on_interval: Callable[[], object] | None,
        before: ResultBase | None,
    ) -> dict[str, Any]:
        began_at = unknown_since = time.monotonic()
        while True:
            job_id, meta = self._standing(task_id)
            if meta is not None and meta["status"] in states.READY_STATES:
                return meta
            if on_interval:
                on_interval()
            now = time.monotonic()
            if meta is not None or (before is not None and not before.ready()):
                unknown_since = now
            if now - unknown_since >= UNKNOWN_SECONDS and (timeout is None or timeout > UNKNOWN_SECONDS):
                raise _unknown(task_id)
            left = float("inf") if timeout is None else timeout - (now - began_at)
            if left <= 0 and meta is None and before is None:
                raise _unknown(task_id)
            if left <= 0:
                job = self._job(task_id)
                state = "not there yet" if job is None else job.state
                raise CeleryTimeout(f"Job {task_id} has not ended in {timeout:g} s; it is {state}.")
            pauses.pause(left, job_id)

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        # What Celery says of an id that it does not know.
        return self._meta(task_id) or {"status": states.PENDING, "result": None}

    def metas(self, task_ids: Iterable[str]) -> dict[str, dict[str, Any] | None]:
        """Return the records of jobs in a few queries: None for one that has not ended, nothing where there is none."""
        ids = {ledger_id(task_id): task_id for task_id in task_ids}
        jobs = apps.get_model("jobs", "Job").objects.filter(replaced_by=None)
        found: dict[str, dict[str, Any] | None] = {}
        for some in _slices(ids, 1000):
            for job in jobs.filter(pk__in=some):
                found[ids[job.pk]] = self._record(job, with_children=False) if job.is_final else None
        return found

    def _meta(self, task_id: str) -> dict[str, Any] | None:
        """Return the record of a job; None where nobody knows of one."""
        return self._standing(task_id)[1]

    def _standing(self, task_id: str) -> tuple[uuid.UUID, dict[str, Any] | None]:
        """Return the id of the job by whose end another ends, which is its own or a replacement's, and its record."""
        job_id, job = ledger_id(task_id), self._job(task_id)
        replaced = job
        while job is not None and job.replaced_by is not None and job.state == State.SUCCEEDED:
            replaced, job_id = job, job.replaced_by
            job = self._job(str(job_id))
        if job is not None:
            return job_id, {**self._record(job), "task_id": task_id}
        # A body that has not been enqueued, and perhaps will not be.
        group = apps.get_model("jobs", "JobGroup").objects.filter(body_id=job_id).first()
        if group is not None:
            failed = self._failed_step(group.body)
            record = self._record_of_body(task_id, group) if failed is None else self._record(failed)
            return job_id, {**record, "task_id": task_id}
        known = replaced is not None
        return job_id, {"task_id": task_id, "status": states.PENDING, "result": None} if known else None

    def _failed_step(self, body: dict[str, Any] | None) -> "Job | None":
        """Return the job by which a chord's body, a chain with whatever is in it, has ended before its last step."""
        jobs = apps.get_model("jobs", "Job").objects.filter(pk__in=ids_in(body))
        found: Job | None = jobs.filter(state__in=(State.DEAD, State.CANCELLED)).order_by("finished_at").first()
        return found

    def _record_of_body(self, task_id: str, group: "JobGroup") -> dict[str, Any]:
        meta: dict[str, Any] = {"task_id": task_id, "status": states.PENDING, "result": None, "traceback": None}
        if group.ended_at is not None and group.succeeded < group.size:
            error = {"exc_module": "celery.exceptions", "exc_type": "ChordError", "exc_message": [why_failed(group.pk)]}
            meta |= {"status": states.FAILURE, "result": error, "date_done": group.ended_at, "children": []}
        return dict(self.meta_from_decoded(meta))

    def _save_group(self, group_id: str, result: Any) -> Any:
        groups.save(ledger_id(group_id), result.as_tuple())
        return result

    def _restore_group(self, group_id: str) -> dict[str, Any] | None:
        group = apps.get_model("jobs", "JobGroup").objects.filter(pk=ledger_id(group_id)).first()
        saved = group and group.saved
        return {"task_id": group_id, "result": result_from_tuple(saved, self.app)} if saved else None

    def _delete_group(self, group_id: str) -> None:
        groups.forget_saved(ledger_id(group_id))

    def _forget(self, task_id: str) -> None:
        job = self._job(task_id)
        if job is not None:
            forget_result(job.pk)

    def _job(self, task_id: str) -> "Job | None":
        found: Job | None = apps.get_model("jobs", "Job").objects.filter(pk=ledger_id(str(task_id))).first()
        return found

    def _record(self, job: "Job", *, with_children: bool = True) -> dict[str, Any]:
        status = STATUS[State(job.state)]
        failed = job.attempts.order_by("number", "id").last() if status in states.EXCEPTION_STATES else None
        date_done: datetime | None = job.finished_at
        return dict(
            self.meta_from_decoded(
                {
                    "task_id": str(job.pk),
                    "status": status,
                    "result": readable(job.result) if status == states.SUCCESS else _error(job, status, failed),
                    "traceback": (failed.traceback or None) if failed else None,
                    "children": self._children(job) if with_children else [],
                    "date_done": date_done,
                    "name": job.task,
                    "worker": job.worker or None,
                    "retries": max(job.attempt - job.attempt_base - 1, 0),
                    "queue": job.queue,
                }
            )
        )

    def _children(self, job: "Job") -> list[ResultBase]:
        """Return the results of what a job enqueued: groups as such."""
        found = type(job).objects.filter(parent_id=job.pk).order_by("id").values_list("pk", "group_id")
        made = set(apps.get_model("jobs", "JobGroup").objects.filter(parent_id=job.pk).values_list("pk", flat=True))
        children: dict[uuid.UUID, ResultBase] = {}
        for pk, group_id in found:
            result = AsyncResult(str(pk), app=self.app, backend=self)
            if group_id in made:
                group = children.setdefault(group_id, self.app.GroupResult(str(group_id), []))
                group.results.append(result)
            else:
                children[pk] = result
        return list(children.values())


def _slices(ids: Iterable[uuid.UUID], size: int) -> Iterator[list[uuid.UUID]]:
    left = iter(ids)
    while some := list(islice(left, size)):
        yield some


def _unknown(task_id: str) -> UnknownJob:
    return UnknownJob(
        f"{task_id!r} is the id of no job: it was never committed, or was deleted after its retention, or it is a plain"
        " Celery task, of which nothing is kept."
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
    return {"exc_module": module, "exc_type": name, "exc_message": _arguments(failed.error)}


def _arguments(message: str) -> list[Any]:
    """Return what an exception was made of, by its text: one of several values shows them as a tuple."""
    try:
        found = ast.literal_eval(message) if message.startswith("(") else None
    except (MemoryError, RecursionError, SyntaxError, ValueError):
        found = None
    return list(found) if isinstance(found, tuple) and len(found) > 1 else [message]
