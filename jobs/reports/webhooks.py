"""How webhooks fare: what each was told last, how much of it arrived, what waits and what died."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from jobs.core.states import FINAL, State
from jobs.models import Job, Webhook
from jobs.operations.job_json import maybe_time_json, time_json
from jobs.webhooks.destinations import shown_address

#: How long ago deliveries count as those of late.
LATELY = timedelta(days=1)

#: So many deliveries of a webhook are counted, the latest: more would take longer than a page may.
WINDOW = 10_000

#: So many deliveries that tell of one job are shown with it, the latest.
DELIVERIES = 100

#: The states in which a delivery is still under way.
WAITING = tuple(state for state in State if state not in FINAL)


@dataclass(frozen=True, slots=True)
class WebhookReport:
    """A webhook and its deliveries.

    Attributes:
        last: the latest delivery; None where there is none.
        states: how many of the latest deliveries stand in each state; of those that died, all.
        delivered, failed: how many of the latest that ended within the last day have arrived, and have died.
        is_cut: whether there may be more than these.
    """

    webhook: Webhook
    last: Job | None
    states: Mapping[State, int]
    delivered: int
    failed: int
    is_cut: bool

    @property
    def address(self) -> str:
        """Where it leads, as anybody may see it."""
        return shown_address(self.webhook.url)

    @property
    def waiting(self) -> int:
        """How many deliveries are under way."""
        return sum(self.states[state] for state in WAITING)

    @property
    def dead(self) -> int:
        """How many deliveries died and were not delivered again."""
        return self.states[State.DEAD]

    @property
    def success_rate(self) -> float | None:
        """The part of the last day's deliveries that arrived, of those that have ended; None where none has."""
        ended = self.delivered + self.failed
        return self.delivered / ended if ended else None

    @property
    def percent(self) -> int | None:
        """The same in percent: 100 only where all arrived, and 0 only where none did."""
        rate = self.success_rate
        return None if rate is None else math.ceil(100 * rate) if rate < 0.5 else math.floor(100 * rate)


def reports() -> list[WebhookReport]:
    """Return all webhooks, by name, with how they fare."""
    return [report(webhook) for webhook in Webhook.objects.all()]


def report(webhook: Webhook, *, window: int = WINDOW) -> WebhookReport:
    """Return a webhook, with how it fares by so many of its deliveries, the latest."""
    latest = webhook.deliveries.order_by("-job_id").values("job_id")[:window]
    counted = (
        Job.objects.filter(pk__in=latest)
        .order_by()
        .values_list("state")
        .annotate(number=Count("pk"), of_late=Count("pk", filter=Q(finished_at__gte=timezone.now() - LATELY)))
    )
    states, lately = dict.fromkeys(State, 0), dict.fromkeys(State, 0)
    for state, number, of_late in counted:
        states[State(state)], lately[State(state)] = number, of_late
    is_cut = sum(states.values()) >= window
    states[State.DEAD] = Job.objects.filter(state=State.DEAD, webhook_delivery__webhook=webhook).count()
    return WebhookReport(
        webhook=webhook,
        last=_last(webhook),
        states=states,
        delivered=lately[State.SUCCEEDED],
        failed=lately[State.DEAD],
        is_cut=is_cut,
    )


def _last(webhook: Webhook) -> Job | None:
    found = webhook.deliveries.order_by("-job_id").select_related("job").first()
    return None if found is None else found.job


def deliveries_of(job: Job) -> QuerySet[Job]:
    """Return the jobs that tell webhooks of a job, the latest first; each has its `webhook_delivery`."""
    found = Job.objects.filter(webhook_delivery__of_job=job.pk)
    return found.select_related("webhook_delivery__webhook").order_by("-created_at", "-id")


def deliveries_json(job: Job) -> list[dict[str, Any]]:
    """Return what webhooks are told of a job as JSON, the latest first, so much of it as is shown."""
    found = deliveries_of(job)[:DELIVERIES]
    return [{**delivery_json(one), "webhook": one.webhook_delivery.webhook.name} for one in found]


def webhook_json(found: WebhookReport) -> dict[str, Any]:
    """Return a webhook as JSON: neither its secret, nor more of its address than its host."""
    webhook = found.webhook
    return {
        "id": webhook.pk,
        "name": webhook.name,
        "address": found.address,
        "tasks": webhook.tasks,
        "states": webhook.states,
        "queue": webhook.queue,
        "enabled": webhook.enabled,
        "created_by": webhook.created_by,
        "created_at": time_json(webhook.created_at),
        "last_delivery_at": _moment_of(found.last),
        "last_state": None if found.last is None else found.last.state,
        "success_rate": found.success_rate,
        "waiting": found.waiting,
        "dead": found.dead,
    }


def _moment_of(job: Job | None) -> str | None:
    return None if job is None else maybe_time_json(job.created_at)


def delivery_json(job: Job) -> dict[str, Any]:
    """Return a delivery as JSON, by the job that makes it."""
    delivery = job.webhook_delivery
    return {
        "id": str(job.pk),
        "event": delivery.event,
        "job_id": None if delivery.of_job is None else str(delivery.of_job),
        "task": delivery.task,
        "state": job.state,
        "attempt": job.attempt,
        "status": delivery.status,
        "seconds": delivery.seconds,
        "created_at": time_json(job.created_at),
        "tried_at": maybe_time_json(delivery.tried_at),
        "next_try_at": maybe_time_json(next_try_at(job)),
        "last_error": job.last_error if job.state != State.SUCCEEDED else "",
    }


def next_try_at(job: Job) -> datetime | None:
    """Return when a delivery that waits for its time is tried again."""
    return job.run_at if job.state in {State.RETRYING, State.SCHEDULED} else None
