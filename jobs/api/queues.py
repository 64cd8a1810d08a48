"""`/api/queues`, `/api/workers`, `/api/schedules`."""

from http import HTTPStatus
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Body, Router, Status

from jobs.api.jobs import shown_to
from jobs.api.schemas.jobs import JobOut, JobRef
from jobs.api.schemas.limits import PauseIn
from jobs.api.schemas.queues import LoadOut, QueueList, QueueOut, QueueRef, SharesOut
from jobs.api.schemas.schedules import ScheduleList
from jobs.api.schemas.workers import WorkerList
from jobs.errors import EnqueueError, InvalidRule
from jobs.models import Job
from jobs.operations import actions
from jobs.operations.access import OPERATE, READ, caller_of
from jobs.operations.problems import Problem, missing
from jobs.operations.tokens import Scope
from jobs.reports import workers
from jobs.reports.load import load_of
from jobs.reports.queues import QueueReport, queues
from jobs.reports.report_json import load_json, queue_json, schedule_json, shares_json, worker_json
from jobs.reports.shares import shares_of
from jobs.schedules import entries, find, latest_runs, run_now

router = Router()


@router.get("/queues", response=QueueList, auth=READ, tags=["queues"], summary="List queues")
def list_queues(request: HttpRequest) -> Any:
    """Return every queue with its depth, ages, rates and workers."""
    return {"queues": [queue_json(queue) for queue in queues()]}


@router.get("/queues/{name}/load", response=LoadOut, auth=READ, tags=["queues"], summary="How many workers it needs")
def show_load(request: HttpRequest, name: str) -> Any:
    """Return how much there is to do in a queue, and how many jobs would have to run at once: for autoscalers."""
    return load_json(load_of(_queue(name)))


@router.get("/queues/{name}/shares", response=SharesOut, auth=READ, tags=["queues"], summary="Who fills it")
def show_shares(request: HttpRequest, name: str) -> Any:
    """Return who fills a queue: its waiting and running jobs by tenant and by task, with their shares and weights."""
    return shares_json(shares_of(_queue(name).name))


@router.post(
    "/queues/{name}/pause", response=QueueOut | QueueRef, auth=OPERATE, tags=["queues"], summary="Pause a queue"
)
def pause_queue(request: HttpRequest, name: str, body: Annotated[PauseIn | None, Body()] = None) -> Any:
    """Let no job of a queue begin until it is resumed, or until a time; what runs goes on."""
    _queue(name)
    said = body or PauseIn()
    try:
        actions.pause_queue(name, actor=caller_of(request).name, reason=said.reason, until=said.until)
    except InvalidRule as exc:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(exc)) from exc
    return _shown_to(request, _queue(name))


@router.post(
    "/queues/{name}/resume", response=QueueOut | QueueRef, auth=OPERATE, tags=["queues"], summary="Resume a queue"
)
def resume_queue(request: HttpRequest, name: str) -> Any:
    """Let the jobs of a queue begin again."""
    _queue(name)
    actions.resume_queue(name, actor=caller_of(request).name)
    return _shown_to(request, _queue(name))


def _shown_to(request: HttpRequest, queue: QueueReport) -> dict[str, Any]:
    """Return of a queue what the caller may see."""
    if Scope.READ in caller_of(request).scopes:
        return queue_json(queue)
    return {"name": queue.name, "paused": queue.paused_at is not None}


def _queue(name: str) -> QueueReport:
    found = next((queue for queue in queues() if queue.name == name), None)
    if found is None:
        raise missing("queue", repr(name), "GET /api/queues lists them.")
    return found


@router.get("/workers", response=WorkerList, auth=READ, tags=["workers"], summary="List workers")
def list_workers(request: HttpRequest) -> Any:
    """Return the workers that are there, and those that were in the last hour."""
    return {"workers": [worker_json(worker) for worker in workers.recent()]}


@router.get("/schedules", response=ScheduleList, auth=READ, tags=["schedules"], summary="List schedules")
def list_schedules(request: HttpRequest) -> Any:
    """Return every schedule with its next runs and what came of the last one."""
    runs = latest_runs()
    return {"schedules": [schedule_json(entry, runs.get(entry.row.pk)) for entry in entries()]}


@router.post(
    "/schedules/{int:schedule_id}/run",
    response={201: JobOut | JobRef},
    auth=OPERATE,
    tags=["schedules"],
    summary="Run a schedule now",
)
def run_schedule(request: HttpRequest, schedule_id: int) -> Any:
    """Enqueue a schedule's job at once, beside its regular runs."""
    # No sequence of ids gets so far, and no database takes such a number.
    entry = find(schedule_id) if schedule_id < 2**31 else None
    if entry is None:
        raise missing("schedule", schedule_id, "GET /api/schedules lists them.")
    try:
        job_id = run_now(entry.runnable(), actor=caller_of(request).name)
    except EnqueueError as exc:
        raise Problem(HTTPStatus.CONFLICT, str(exc)) from exc
    return Status(HTTPStatus.CREATED, shown_to(request, Job.objects.get(pk=job_id)))
