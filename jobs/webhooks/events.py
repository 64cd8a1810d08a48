"""What webhooks are told of jobs: written, each as a job of its own, in the transaction that changes their states."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from jobs.core.states import State
from jobs.enqueue.enqueuer import enqueue_many
from jobs.ledger.webhooks import NewDelivery, Told, add_deliveries, told_of
from jobs.tasks.options import Options
from jobs.webhooks.subscriptions import DELIVERY, snapshot

#: The type of the event that somebody asks for to see whether a webhook works.
TEST = "webhook.test"


class Change(NamedTuple):
    """A job that has come into a state, by the transaction at hand."""

    id: uuid.UUID
    task: str
    queue: str
    state: State


def announce(changes: Iterable[Change]) -> None:
    """Have the webhooks told that want to be, within the transaction that made these changes.

    Where there is no webhook the changes are not even looked at.
    """
    subscriptions = snapshot.current()
    if not subscriptions:
        return
    wanted: dict[uuid.UUID, list[int]] = defaultdict(list)
    for change in changes:
        for one in subscriptions:
            if one.wants(change.task, change.queue, change.state):
                wanted[change.id].append(one.id)
    if wanted:
        _announce(wanted)


def announce_test(webhook_id: int) -> uuid.UUID:
    """Have a webhook told that this is a test, once, enabled or not. Returns the id of the job that does."""
    body = _body(TEST, timezone.now(), {"url": _page("webhook", webhook_id)})
    with transaction.atomic():
        (job_id,) = _enqueue([(webhook_id, TEST)], Options(max_retries=0))
        add_deliveries([NewDelivery(job_id, webhook_id, TEST, body)])
    return job_id


def _announce(wanted: Mapping[uuid.UUID, list[int]]) -> None:
    told = [(webhook_id, job, f"job.{job.state}") for job in told_of(wanted) for webhook_id in wanted[job.id]]
    # As what a job enqueues: whoever looks for the one finds the other.
    belonging = [job.correlation_id or str(job.id) for _, job, _ in told]
    ids = _enqueue([(webhook_id, event) for webhook_id, _, event in told], Options(), belonging)
    add_deliveries(
        [
            NewDelivery(delivery_id, webhook_id, event, _body(event, job.changed_at, _said(job)), job.id, job.task)
            for delivery_id, (webhook_id, job, event) in zip(ids, told, strict=True)
        ]
    )


def _enqueue(
    calls: Iterable[tuple[int, str]], options: Options, correlation_ids: Sequence[str] = ()
) -> list[uuid.UUID]:
    """Enqueue a delivery for each webhook and type of event. Returns the ids of the jobs."""
    task = current_app.tasks[DELIVERY]
    return [one.id for one in enqueue_many(task, [(call, {}) for call in calls], options, correlation_ids)]


def _body(event: str, at: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return type, time and data, as Standard Webhooks has them."""
    return {"type": event, "timestamp": _time(at), "data": {"site": settings.PROJECT_NAME, **data}}


def _said(job: Told) -> dict[str, Any]:
    return {
        "url": _page("job", job.id),
        "job": {
            "id": str(job.id),
            "task": job.task,
            "queue": job.queue,
            "state": job.state,
            "attempt": job.attempt,
            "max_retries": job.max_retries,
            "priority": job.priority,
            "tenant": job.tenant,
            "correlation_id": job.correlation_id,
            "group_id": _text(job.group_id),
            "parent_id": _text(job.parent_id),
            "created_at": _time(job.created_at),
            "started_at": _time(job.started_at),
            "finished_at": _time(job.finished_at),
            "next_attempt_at": _time(job.run_at) if job.state == State.RETRYING else None,
            "last_error": job.last_error,
        },
    }


def _page(name: str, key: object) -> str:
    return f"{settings.FRONTEND_HOST}{reverse(f'jobs:{name}', args=[key])}"


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _text(value: uuid.UUID | None) -> str | None:
    return None if value is None else str(value)
