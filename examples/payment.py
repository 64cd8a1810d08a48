"""A payment: asked for once, however often it must be asked, of a provider that may be slow or away.

The job's id is the idempotency key. It is the same on every attempt, so that a provider who took the money and whose
answer was lost does not take it again. What that cannot settle, a card that is refused, is the end at once. While the
provider is away a breaker holds the payments back, without an attempt; one at a time asks whether it is there again.
"""

import json

from examples.http import pause_of, post
from examples.models import Order
from jobs import Breaker, JobTask, Permanent, Snooze, job

#: The provider. What it refuses for good counts as an answer; only failures open the breaker.
PROVIDER = Breaker("payments", failures=3, pause=2, longest_pause=300)


class ProviderBroken(Exception):
    """Raised when the provider failed, and may not the next time."""


@job(bind=True, breaker=PROVIDER, time_limit=20, max_retries=8, retry_backoff=2, retry_backoff_max=600)
def charge(self: JobTask, order_id: int) -> str:
    """Have an order paid and note the payment with it; return the payment's id.

    Time-outs (5 s, `examples.http.SECONDS`) stay below the time limit: it is the task that gives up, with an error that
    says why, and not the worker that ends it.
    """
    order = Order.objects.get(pk=order_id)
    if order.charge_id:
        # An attempt that died after its effect and before its record.
        return str(order.charge_id)
    charge_id = _asked(order, key=str(self.request.id))
    Order.objects.filter(pk=order_id).update(charge_id=charge_id)
    return charge_id


def _asked(order: Order, key: str) -> str:
    body = json.dumps({"order": order.pk, "cents": order.cents})
    answer = post(f"{order.provider_url}/charges", body, {"Idempotency-Key": key})
    if answer.status == 429:
        raise Snooze(pause_of(answer, otherwise=30), "the provider takes no more for now")
    if 400 <= answer.status < 500:
        raise Permanent(f"The provider refuses order {order.pk}: {answer.status} {answer.body[:200]!r}")
    if answer.status >= 300:
        raise ProviderBroken(f"The provider answered {answer.status}.")
    return str(json.loads(answer.body)["id"])
