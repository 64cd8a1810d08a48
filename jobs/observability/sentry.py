"""Sentry: errors with the job they happened in; no error while a job is still tried again; Beat's check-ins.

Celery's integration reports what plain tasks raise: it wraps Celery's tracer, which jobs do without. A job is reported
here, once, when it gives up; in a scope of its attempt's own, so that it shows what that attempt did and no other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import sentry_sdk
from billiard.exceptions import SoftTimeLimitExceeded
from celery import current_task
from celery.signals import task_failure, task_prerun, task_success
from sentry_sdk.crons import capture_checkin
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import event_from_exception

from jobs.core import correlation
from jobs.observability.masking import without_secrets
from jobs.tasks.redaction import shown_arguments
from jobs.worker import observers as attempts

#: The header in which Beat says which schedule a job is a run of.
SCHEDULE_HEADER = "periodic_task_name"

#: The slug of a monitor has at most so many signs.
_SLUG_LENGTH = 50


def configure(dsn: str, *, environment: str, release: str = "") -> None:
    """Report errors to `dsn`. Call it once, when the settings are read."""
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=release or None,
        send_default_pii=False,
        # The variables of a failing task are its arguments, and what it made of them.
        include_local_variables=False,
        max_request_body_size="never",
        # Our Beat fires in its own way, and tells Sentry below.
        integrations=[CeleryIntegration(monitor_beat_tasks=False, propagate_traces=False)],
        before_send=_reported,
    )
    task_prerun.connect(_began, weak=False)
    task_success.connect(_succeeded, weak=False)
    task_failure.connect(_failed, weak=False)
    attempts.add_scope(_scope)


@contextmanager
def _scope() -> Iterator[None]:
    """Keep what is told during an attempt to itself, and name it as Celery's integration names that of plain tasks."""
    task, request = current_task, current_task.request
    with sentry_sdk.isolation_scope() as scope:
        scope.clear_breadcrumbs()
        scope.set_tag("celery_task_id", request.id)
        # It may go on with a trace that whoever sent the job has begun.
        transaction = sentry_sdk.continue_trace(
            request.headers or {}, op="queue.task.celery", name=task.name, source="task", origin="auto.queue.celery"
        )
        with sentry_sdk.start_transaction(transaction):
            yield


def _capture(task: Any, error: BaseException) -> None:
    """Report an error of a job that gives up, unless its task says that it is to be expected (`throws`)."""
    if span := sentry_sdk.get_current_span():
        span.set_status("internal_error")
    if isinstance(error, tuple(task.throws)):
        return
    event, hint = event_from_exception(
        error, client_options=sentry_sdk.get_client().options, mechanism={"type": "celery", "handled": False}
    )
    if isinstance(error, SoftTimeLimitExceeded):
        # They are raised wherever the task just is.
        event["fingerprint"] = ["celery", "SoftTimeLimitExceeded", task.name]
    sentry_sdk.capture_event(event, hint=hint)


def _reported(event: Event, hint: Hint) -> Event:
    """Return an event as it is sent: with its job, and without the secrets of the addresses and headers in it."""
    headers = cast("dict[str, str]", event.get("request", {}).get("headers", {}))
    for name in [name for name in headers if name.lower() == "x-csrftoken"]:
        del headers[name]
    return without_secrets(with_job(event, hint))


def with_job(event: Event, hint: Hint) -> Event:
    """Add to an event what job it happened in; its arguments as people may see them."""
    request = getattr(current_task, "request", None) if current_task else None
    tags = event.setdefault("tags", {})
    if isinstance(tags, dict) and correlation.current():
        tags["correlation"] = correlation.current()
    if request is None or not request.id:
        return event
    args, kwargs = shown_arguments(current_task.name, request.args, request.kwargs)
    job = {
        "id": str(getattr(request, "job_id", None) or request.id),
        "task": current_task.name,
        "attempt": getattr(request, "job_attempt", None),
        "correlation": getattr(request, "job_correlation_id", ""),
        "worker": request.hostname,
        "args": args,
        "kwargs": kwargs,
    }
    event.setdefault("contexts", {})["job"] = job
    # The integration's own copy of the arguments has not been redacted.
    event.get("extra", {}).pop("celery-job", None)
    if isinstance(tags, dict):
        tags |= {"task": job["task"], "job": job["id"], "correlation": job["correlation"]}
    return event


def _slug(request: Any) -> str:
    name = str(request.get(SCHEDULE_HEADER) or "") if request is not None else ""
    return "-".join("".join(sign if sign.isalnum() else " " for sign in name.lower()).split())[:_SLUG_LENGTH]


def _began(task: Any = None, **_: Any) -> None:
    if slug := _slug(getattr(task, "request", None)):
        capture_checkin(monitor_slug=slug, check_in_id=_check_in(task.request), status="in_progress")


def _succeeded(sender: Any = None, **_: Any) -> None:
    if slug := _slug(getattr(sender, "request", None)):
        capture_checkin(monitor_slug=slug, check_in_id=_check_in(sender.request), status="ok")


def _failed(sender: Any = None, exception: BaseException | None = None, **_: Any) -> None:
    request = getattr(sender, "request", None)
    if exception is not None and getattr(request, "lease_id", None):
        _capture(sender, exception)
    if slug := _slug(request):
        capture_checkin(monitor_slug=slug, check_in_id=_check_in(request), status="error")


def _check_in(request: Any) -> str:
    """Return one check-in's id for all attempts of a job."""
    return str(request.id).replace("-", "")
