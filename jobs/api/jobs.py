"""`/api/jobs`: submit, list, show, retry, cancel."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Body, Header, Query, Router, Schema, Status

from jobs.api.schemas.jobs import (
    ActionOut,
    BulkIn,
    BulkOut,
    JobActionIn,
    JobDetail,
    JobIn,
    JobOut,
    JobPage,
    JobQuery,
    JobRef,
    LogsOut,
    RetryIn,
)
from jobs.api.submit import submit, submit_many
from jobs.models import Job
from jobs.operations import actions
from jobs.operations.access import OPERATE, READ, SUBMIT, caller_of
from jobs.operations.actions import CANCELLABLE, RETRYABLE
from jobs.operations.bulk import Result
from jobs.operations.filters import JobFilter
from jobs.operations.job_json import attempt_json, job_json, logs_json, maybe_time_json, shown_result, steps_json
from jobs.operations.paging import InvalidCursor, Page, page
from jobs.operations.problems import FieldError, Problem, invalid, missing, refused, shortened
from jobs.operations.result_json import result_json
from jobs.operations.tokens import Scope
from jobs.reports.listing import newest
from jobs.reports.report_json import line_json
from jobs.reports.webhooks import deliveries_json

router = Router(tags=["jobs"])

#: How long a request looks for what no index answers.
LOOK_SECONDS = 0.05

#: Failed attempts shown with a job, the latest ones: each may have 20 kB of traceback, and some jobs try for ever.
ATTEMPTS = 100


@router.post("", response={201: JobOut, 200: JobOut | JobRef}, auth=SUBMIT, summary="Submit a job")
def submit_job(
    request: HttpRequest,
    body: Annotated[JobIn, Body()],
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)] = None,
) -> Any:
    """Enqueue a job of a public task.

    With the header `Idempotency-Key` the same request may be sent again: it answers 200 with the same job, as long as
    the ledger keeps it; under a key used for another body it answers 409. Where the job's `unique` key is held by a
    job that waits to begin, that job is the answer, with 200. Of a job that was there before, more than its state takes
    the scope `read`.
    """
    job, new = submit(body, caller=caller_of(request).key, key=idempotency_key or "")
    return Status(HTTPStatus.CREATED, job_json(job)) if new else Status(HTTPStatus.OK, shown_to(request, job))


@router.post("/bulk", response={201: BulkOut}, auth=SUBMIT, summary="Submit many jobs")
def submit_bulk(request: HttpRequest, body: Annotated[BulkIn, Body()]) -> Any:
    """Enqueue up to 10,000 jobs of public tasks: all of them or, where one is not valid, none."""
    return Status(HTTPStatus.CREATED, {"ids": submit_many(body.jobs, caller=caller_of(request).key)})


@router.get("", response=JobPage, auth=READ, summary="List jobs")
def list_jobs(request: HttpRequest, query: Annotated[JobQuery, Query()]) -> Any:
    """Return jobs, the newest first. Pages stay what they are while jobs arrive.

    What no index answers is looked for from the newest job back, for a moment. A page that is not full by then says in
    `looked_back_to` how far that went, and its cursor goes on. The last page is the one without a cursor.
    """
    refuse_unknown(request, query)
    with _cursor_given(query.cursor):
        found = newest(query.filter(), limit=query.limit, cursor=query.cursor, seconds=LOOK_SECONDS)
    return {
        "jobs": [job_json(job) for job in found.rows],
        "next_cursor": found.next_cursor,
        "looked_back_to": maybe_time_json(found.reached),
    }


def refuse_unknown(request: HttpRequest, query: Schema) -> None:
    """Raise Problem for a parameter that nobody knows: a slip of the pen must not list everything."""
    known = type(query).model_fields
    unknown = [(name, value) for name, value in request.GET.items() if name not in known]
    if unknown:
        rule = f"is not known; known are {', '.join(known)}"
        raise refused(FieldError(field=name, value=shortened(value), rule=rule) for name, value in unknown)


def turned(rows: Any, moment: str, query: Any) -> Page[Any]:
    """Return the page asked for. Raises Problem for a cursor that no page has given out."""
    with _cursor_given(query.cursor):
        return page(rows, moment, limit=query.limit, cursor=query.cursor)


@contextmanager
def _cursor_given(cursor: str) -> Iterator[None]:
    try:
        yield
    except InvalidCursor as exc:
        raise invalid("cursor", cursor, "must be one that a page has given out") from exc


@router.post("/actions", response=ActionOut, exclude_unset=True, auth=OPERATE, summary="Retry or cancel all that match")
def act_on_jobs(request: HttpRequest, body: Annotated[JobActionIn, Body()]) -> Any:
    """Retry or cancel every job that matches the filter and is in a state that allows it."""
    selection = body.filter.filter()
    if not selection.as_json():
        raise invalid("filter", {}, "must restrict something: an action on every job there is needs to say so by state")
    if selection.text or selection.error or selection.kwargs:
        # How many match would say what stands in them.
        caller_of(request).require(Scope.READ, "A filter that looks into arguments or errors (q, error, kwargs)")
    act = actions.retry_jobs if body.action == "retry" else actions.cancel_jobs
    result = act(selection, actor=caller_of(request).name, dry_run=body.dry_run)
    return result_json(result, dry_run=body.dry_run, reads=Scope.READ in caller_of(request).scopes)


@router.get("/{uuid:job_id}", response=JobDetail, auth=READ, summary="Show a job")
def show_job(request: HttpRequest, job_id: uuid.UUID) -> Any:
    """Return a job with its steps, its failed attempts and what webhooks are told of it, the latest hundred of each."""
    return _detail(_job(job_id))


@router.get("/{uuid:job_id}/logs", response=LogsOut, auth=READ, summary="Show what a job logged")
def show_logs(request: HttpRequest, job_id: uuid.UUID) -> Any:
    """Return what the attempts of a job logged, so much of it as is kept. Lines come while an attempt runs."""
    return {"logs": logs_json(_job(job_id))}


@router.post("/{uuid:job_id}/retry", response=JobOut | JobRef, auth=OPERATE, summary="Retry a job")
def retry_job(request: HttpRequest, job_id: uuid.UUID, body: Annotated[RetryIn | None, Body()] = None) -> Any:
    """Put a job that ended, or waits for a later time, into its queue now.

    What its task has done in steps is not done again, unless the job had succeeded; or from `from_step` on.
    """
    from_step = body.from_step if body else None
    if from_step is not None and not _job(job_id).steps.filter(number=from_step).exists():
        raise invalid("from_step", from_step, "must be the number of one of the job's steps")
    result = actions.retry_jobs(JobFilter(ids=(job_id,)), actor=caller_of(request).name, from_step=from_step)
    return _after(request, job_id, result, RETRYABLE, "retried")


@router.post("/{uuid:job_id}/cancel", response=JobOut | JobRef, auth=OPERATE, summary="Cancel a job")
def cancel_job(request: HttpRequest, job_id: uuid.UUID) -> Any:
    """Cancel a job that has not ended. A running one is ended by its worker within a moment."""
    result = actions.cancel_jobs(JobFilter(ids=(job_id,)), actor=caller_of(request).name)
    return _after(request, job_id, result, CANCELLABLE, "cancelled")


def shown_to(request: HttpRequest, job: Job) -> Any:
    """Return of a job what the caller may see."""
    if Scope.READ in caller_of(request).scopes:
        return job_json(job)
    return {"id": job.pk, "task": job.task, "state": job.state}


def _job(job_id: uuid.UUID) -> Job:
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        raise missing("job", job_id)
    return job


def _detail(job: Job) -> dict[str, Any]:
    latest = list(job.attempts.order_by("-number", "-pk")[:ATTEMPTS])
    return {
        **job_json(job),
        "line": line_json(job),
        "result": shown_result(job),
        "calls": job.calls,
        "steps": steps_json(job),
        "attempts": [attempt_json(attempt) for attempt in reversed(latest)],
        "deliveries": deliveries_json(job),
    }


def _after(request: HttpRequest, job_id: uuid.UUID, result: Result, states: tuple[str, ...], what: str) -> Any:
    """Return the job after an action. Raises Problem where it is not there, or its state did not allow it."""
    job = _job(job_id)
    if not result.changed:
        raise Problem(HTTPStatus.CONFLICT, f"Job {job_id} is {job.state}: only {', '.join(states)} jobs can be {what}.")
    return shown_to(request, job)
