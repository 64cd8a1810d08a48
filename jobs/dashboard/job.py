"""One job: its life, its attempts, its arguments, its kin, and what can be done with it."""

import json
import uuid
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from jobs.core.states import FINAL, WAITING, State
from jobs.dashboard.access import page
from jobs.dashboard.pages import plural, show
from jobs.dashboard.timeline import Stretch, marks, timeline
from jobs.dashboard.tracebacks import folded
from jobs.enqueue.message import IDEMPOTENCY_HEADER, outgoing
from jobs.models import Attempt, DeadLetter, Job, Step, WebhookDelivery
from jobs.operations import search
from jobs.operations.filters import JobFilter
from jobs.operations.job_json import LOGS, STEPS, job_json, named_arguments, shown_result, steps_json
from jobs.reports.flow import place_of
from jobs.reports.webhooks import deliveries_of
from jobs.tasks.redaction import shown_unique_key
from jobs.webhooks.subscriptions import DELIVERY

#: Headers that tell nothing, or nobody but our own code: those without arguments, who asked for the page, a digest.
_UNTOLD = frozenset({"argsrepr", "kwargsrepr", "origin", IDEMPOTENCY_HEADER})
_EMPTY: tuple[object, ...] = (None, "", {}, [None, None])

#: Attempts, and jobs of the same kin, that are shown; the newest ones.
ATTEMPTS, KIN = 50, 8


@page
def job(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Show the page of a job."""
    found = _get(job_id)
    now = timezone.now()
    attempts = list(found.attempts.order_by("-number", "-pk")[:ATTEMPTS])
    correlation = found.correlation_id or str(found.pk)
    letters = list(DeadLetter.objects.filter(job=found).order_by("-failed_at"))
    stretches = timeline(found, attempts, now)
    return show(
        request,
        "job",
        "jobs",
        events=f"/api/events?job={found.pk}&logs=1",
        job=found,
        place=place_of(found),
        arguments=named_arguments(found.task, found.args, found.kwargs),
        result=shown_result(found),
        stretches=stretches,
        steps=_steps(found, stretches),
        logs=_logs(found),
        more_steps=max(found.steps.count() - STEPS, 0),
        attempts=[(attempt, folded(attempt.traceback) if attempt.traceback else []) for attempt in attempts],
        more_attempts=found.attempts.count() - len(attempts) if len(attempts) == ATTEMPTS else 0,
        siblings=_siblings(found, correlation),
        siblings_query=search.line([("correlation", correlation)]),
        children=Job.objects.filter(parent_id=found.pk).order_by("-created_at", "-pk")[:KIN],
        parent=Job.objects.filter(pk=found.parent_id).first() if found.parent_id else None,
        deliveries=deliveries_of(found)[:KIN],
        tells=_told_event(found),
        letters=letters,
        open_letter=next((letter for letter in letters if letter.is_open), None),
        corrections=_corrections(found),
        may_retry=found.state in FINAL | WAITING,
        may_cancel=found.state in WAITING | {State.QUEUED, State.RUNNING},
        raw=json.dumps(job_json(found), indent=2, ensure_ascii=False),
        curl=_curl(request, found),
        error=_headline(found, attempts),
        headers=_headers(found),
        unique_as=shown_unique_key(found.task, found.unique_key),
        calls=found.calls,
        following=_following(found),
    )


@page
def job_as_json(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Return a job as the API shows it."""
    return JsonResponse(dict(job_json(_get(job_id))), json_dumps_params={"indent": 2, "ensure_ascii": False})


def _get(job_id: uuid.UUID) -> Job:
    found = Job.objects.filter(pk=job_id).first()
    if found is None:
        raise Http404("There is no such job: it was deleted after its retention, or never committed.")
    return found


def _steps(job: Job, stretches: Sequence[Stretch]) -> list[dict[str, Any]]:
    """Return what its task has done, as people may see it, and where that is in the drawing of its life."""
    steps = list(job.steps.all()[:STEPS])
    shown = zip(steps, steps_json(job), marks(steps, stretches), strict=True)
    return [
        {
            **json_,
            "started_at": step.started_at,
            "took": step.finished_at - step.started_at,
            "rows": _rows(step),
            "mark": mark,
        }
        for step, json_, mark in shown
    ]


def _logs(job: Job) -> list[tuple[int, str]]:
    """Return what each attempt logged, the latest first."""
    latest = list(job.logs.order_by("-id")[:LOGS])[::-1]
    by_number = [
        (number, "\n".join(log.text for log in logs)) for number, logs in groupby(latest, key=attrgetter("number"))
    ]
    return by_number[::-1]


def _rows(step: Step) -> str:
    """Return how far a loop has come, in words; nothing for a step that is none."""
    if step.rows_done is None:
        return ""
    return f"{plural(step.rows_done, 'row')}{'' if step.is_complete else ' so far'}"


def _siblings(job: Job, correlation: str) -> Sequence[Job]:
    """Return other jobs of the same request.

    Children have a place of their own, and so has what tells webhooks: of each job it would be as much again.
    """
    rows = JobFilter(correlation_id=correlation).jobs().exclude(pk=job.pk)
    return list(rows.exclude(parent_id=job.pk).exclude(task=DELIVERY)[:KIN])


def _told_event(job: Job) -> WebhookDelivery | None:
    """Return what a job tells a webhook, where that is what it is for."""
    if job.task != DELIVERY:
        return None
    return WebhookDelivery.objects.select_related("webhook").filter(job=job).first()


def _corrections(job: Job) -> list[Job]:
    """Return the jobs that ran in this one's stead, with other arguments."""
    ids = DeadLetter.objects.filter(job=job).exclude(replay_job_id=job.pk).values("replay_job_id")
    return list(Job.objects.filter(pk__in=ids)[:KIN])


def _curl(request: HttpRequest, job: Job) -> str:
    address = request.build_absolute_uri(f"/api/jobs/{job.pk}")
    return f'curl -H "Authorization: Bearer $TOKEN" {address}'


def _headers(job: Job) -> dict[str, Any]:
    """Return what its message says of it besides the arguments, where it says anything."""
    message = outgoing(job, retries=max(job.attempt - job.attempt_base - 1, 0))
    said = {**message.headers, **message.properties}
    return {name: value for name, value in said.items() if name not in _UNTOLD and value not in _EMPTY}


def _following(job: Job) -> list[str]:
    """Return the tasks that run when it has succeeded: its chain's next ones, and what is linked to it."""
    options = job.options or {}
    # Celery keeps the next link of a chain at its end.
    steps = [*reversed(options.get("chain") or []), *(options.get("link") or [])]
    return [str(step.get("task", "")) for step in steps if isinstance(step, dict)]


def _headline(job: Job, attempts: Sequence[Attempt]) -> dict[str, Any] | None:
    """Return the latest error in full where its attempt has it, for the top of the page."""
    if not job.last_error or job.state == State.SUCCEEDED:
        return None
    kind, _, message = job.last_error.partition(": ")
    latest = attempts[0] if attempts else None
    if latest is not None and job.last_error.startswith(latest.error_type):
        kind, message = latest.error_type, latest.error
    plain = job.state in {State.CANCELLED, State.SCHEDULED} or not kind.replace(".", "").isidentifier()
    return {"kind": "" if plain else kind, "message": job.last_error if plain else message}
