"""The job that tells a webhook of one event: a row like any other, tried again while the receiver is away."""

import json
import time
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from jobs.errors import Cancel
from jobs.models import WebhookDelivery
from jobs.tasks.declare import job
from jobs.webhooks.client import as_outcome, post_signed
from jobs.webhooks.errors import WebhookError
from jobs.webhooks.events import TEST
from jobs.webhooks.subscriptions import DELIVERY

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

#: What a receiver did not take within a day is dead, and can be delivered again by hand.
EXPIRES_SECONDS = 86_400

#: So many deliveries to one webhook are under way at once, so that one that hangs holds up no other.
AT_ONCE = 4


@job(
    name=DELIVERY,
    bind=True,
    queue="maintenance",
    priority=4,
    max_retries=40,
    retry_backoff_max=3_600,
    soft_time_limit=40,
    time_limit=60,
    expires=EXPIRES_SECONDS,
    key="webhook_id",
    concurrency=AT_ONCE,
)
def deliver(self: "JobTask[Any, Any]", webhook_id: int, event: str) -> str:
    """Tell a webhook of the event that this job was made for; return what it answered."""
    delivery = WebhookDelivery.objects.select_related("webhook").filter(job_id=self.request.id).first()
    if delivery is None:
        raise Cancel("The webhook was deleted meanwhile.")
    if not delivery.webhook.enabled and event != TEST:
        raise Cancel("The webhook was disabled meanwhile.")
    with as_outcome():
        return f"{delivery.webhook.name} answered {_send(delivery)}"


def _send(delivery: WebhookDelivery) -> int:
    # The job's id, which stays the same for all attempts and whenever it is delivered again.
    key = str(delivery.job_id)
    body = json.dumps({"id": key, **delivery.body}).encode()
    began = time.monotonic()
    status: int | None = None
    try:
        status = post_signed(delivery.webhook.url, delivery.webhook.secret, key, body)
    except WebhookError as exc:
        status = exc.status
        raise
    finally:
        WebhookDelivery.objects.filter(pk=delivery.pk).update(
            status=status, seconds=time.monotonic() - began, tried_at=timezone.now()
        )
    return status
