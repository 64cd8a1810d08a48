"""Outgoing webhooks: signed, tried for a day, and given up where the receiver says so.

The secret is read where it is needed. It is no argument: arguments are kept, shown and sent through the broker.
"""

import hmac
import json
import time
from typing import Any

from examples.http import pause_of, post
from examples.models import Endpoint
from jobs import JobTask, Permanent, Snooze, job


class NotTaken(Exception):
    """Raised when a receiver did not take a delivery, and may later."""


# Again after 5 s, 25 s, 2, 10 and 52 minutes, then hourly: 27 times take a day.
@job(bind=True, max_retries=27, retry_backoff=5, retry_backoff_factor=5, retry_backoff_max=3600, time_limit=20)
def deliver(self: JobTask, endpoint_id: int, event: str, payload: dict[str, Any]) -> int:
    """Tell an endpoint of an event; return the status that it answered with."""
    endpoint = Endpoint.objects.get(pk=endpoint_id)
    if not endpoint.is_active:
        raise Permanent("The endpoint was switched off.")
    body = json.dumps({"event": event, "payload": payload}, separators=(",", ":"))
    answer = post(endpoint.url, body, headers(endpoint.secret, body, delivery=str(self.request.id)))
    if answer.status == 410:
        Endpoint.objects.filter(pk=endpoint_id).update(is_active=False)
        raise Permanent("The endpoint says that it is gone (410), and is told no more.")
    if answer.status in {429, 503}:
        raise Snooze(pause_of(answer, otherwise=60), f"the endpoint answered {answer.status}")
    if not 200 <= answer.status < 300:
        raise NotTaken(f"The endpoint answered {answer.status}.")
    return answer.status


def headers(secret: str, body: str, *, delivery: str) -> dict[str, str]:
    """Return what a receiver checks: it signs `time.body` itself, compares, and refuses what is old or known."""
    moment = str(int(time.time()))
    return {"X-Delivery": delivery, "X-Timestamp": moment, "X-Signature": signature(secret, moment, body)}


def signature(secret: str, moment: str, body: str) -> str:
    """Return what proves who sent a body, and when."""
    return "sha256=" + hmac.new(secret.encode(), f"{moment}.{body}".encode(), "sha256").hexdigest()
