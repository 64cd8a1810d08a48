"""What an operator can do with webhooks: make, change, switch and delete them, test them, deliver again."""

import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from jobs.core.queue_names import RULE, is_queue_name
from jobs.core.states import State
from jobs.errors import InvalidWebhook
from jobs.models import Job, Webhook
from jobs.operations.actions import RETRYABLE, Chosen, change_chosen, requeue
from jobs.operations.bulk import Result, record
from jobs.webhooks.destinations import check_url, shown_address
from jobs.webhooks.errors import WebhookError
from jobs.webhooks.events import announce_test
from jobs.webhooks.signing import new_secret
from jobs.webhooks.subscriptions import STATES, snapshot

#: The most patterns of one webhook, and the longest of them, in characters: a task's name has no more.
MOST_PATTERNS, PATTERN_LENGTH = 100, 200

NAME_LENGTH, URL_LENGTH = 100, 1000

#: What can be said of a webhook.
FIELDS = ("name", "url", "tasks", "states", "queue", "enabled")


def create(given: Mapping[str, Any], *, actor: str) -> Webhook:
    """Make a webhook. Its row has the secret, which nothing shows later.

    Args:
        given: some of `FIELDS`; `name`, `url` and `states` must be among them.
        actor: who asks.

    Raises:
        InvalidWebhook: what is given cannot be, or another webhook has the name.
    """
    webhook = Webhook(**checked(given), secret=new_secret(), created_by=actor[:200])
    with _named_alone(webhook), transaction.atomic():
        webhook.save(force_insert=True)
        record("add webhook", actor, told(webhook), 1)
    snapshot.forget()
    return webhook


def change(webhook: Webhook, given: Mapping[str, Any], *, actor: str, renews_secret: bool = False) -> None:
    """Change what is given of a webhook; with `renews_secret`, what is signed by the old secret ends at once.

    Raises:
        InvalidWebhook: as `create`.
    """
    values = checked(given)
    for name, value in values.items():
        setattr(webhook, name, value)
    if renews_secret:
        webhook.secret = new_secret()
        values["secret"] = webhook.secret
    with _named_alone(webhook), transaction.atomic():
        webhook.save(update_fields=list(values))
        record("change webhook", actor, {**told(webhook), **({"new secret": "yes"} if renews_secret else {})}, 1)
    snapshot.forget()


def switch(webhook: Webhook, *, on: bool, actor: str) -> None:
    """Enable a webhook, or disable it: then it is told nothing, and what waits to be delivered is cancelled."""
    with transaction.atomic():
        Webhook.objects.filter(pk=webhook.pk).update(enabled=on)
        record("enable webhook" if on else "disable webhook", actor, {"webhook": webhook.name}, 1)
    webhook.enabled = on
    snapshot.forget()


def delete(webhook: Webhook, *, actor: str) -> None:
    """Delete a webhook, and what is known of its deliveries; what waits to be delivered is cancelled."""
    with transaction.atomic():
        record("delete webhook", actor, {"webhook": webhook.name}, 1)
        webhook.delete()
    snapshot.forget()


def send_test(webhook: Webhook, *, actor: str) -> uuid.UUID:
    """Have a webhook told that this is a test, once, enabled or not. Returns the id of the job that does."""
    with transaction.atomic():
        record("test webhook", actor, {"webhook": webhook.name}, 1)
        return announce_test(webhook.pk)


def deliveries(webhook: Webhook, states: Collection[State] = ()) -> QuerySet[Job]:
    """Return the jobs that tell a webhook, in these states, or all; each has its `webhook_delivery`."""
    found = Job.objects.filter(webhook_delivery__webhook=webhook).prefetch_related("webhook_delivery")
    return found.filter(state__in=states) if states else found


def redeliver(
    webhook: Webhook,
    *,
    actor: str,
    ids: Collection[uuid.UUID] = (),
    states: Collection[State] = (State.DEAD,),
    dry_run: bool = False,
) -> Result:
    """Deliver again what is named, or else all in these states: those that died.

    The event stays the same, with the id it had, so that a receiver can tell that it has seen it.

    Args:
        webhook: whose deliveries.
        actor: who asks.
        ids: these deliveries, in whatever state at rest.
        states: of those meant where none is named.
        dry_run: only count them.
    """
    found = deliveries(webhook).filter(pk__in=ids) if ids else deliveries(webhook, states)
    target: dict[str, Any] = {"webhook": webhook.name}
    target |= {"ids": sorted(map(str, ids))} if ids else {"states": sorted(states)}
    chosen = Chosen("redeliver", found.filter(state__in=RETRYABLE), target)
    return change_chosen(chosen, requeue, actor, dry_run=dry_run)


def find(name: str) -> Webhook | None:
    """Return a webhook by its name or number."""
    found = Webhook.objects.filter(name=name).first()
    if found is None and name.isascii() and name.isdecimal() and len(name) < 19:
        found = Webhook.objects.filter(pk=int(name)).first()
    return found


# --- What a webhook can be -------------------------------------------------------------------------


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is given of a webhook as it is kept. Raises InvalidWebhook where something cannot be."""
    return {name: _RULES[name](value) for name, value in given.items()}


def told(webhook: Webhook) -> dict[str, Any]:
    """Return what the record of operator actions says of a webhook: no more of its address than anybody may see."""
    return {
        "webhook": webhook.name,
        "address": shown_address(webhook.url),
        "tasks": webhook.tasks or "all",
        "states": webhook.states,
        "queue": webhook.queue or "any",
        "enabled": webhook.enabled,
    }


@contextmanager
def _named_alone(webhook: Webhook) -> Iterator[None]:
    """Say of a name that another webhook has that it is taken."""
    try:
        yield
    except IntegrityError:
        raise _wrong("name", webhook.name, "must not be that of another webhook") from None


def _name(value: Any) -> str:
    text = str(value).strip()
    if not (0 < len(text) <= NAME_LENGTH and text.isprintable()):
        raise _wrong("name", value, f"must have 1 to {NAME_LENGTH} printable characters")
    return text


def _url(value: Any) -> str:
    text = str(value).strip()
    if len(text) > URL_LENGTH:
        raise InvalidWebhook("url", f"The webhook's URL is not valid: it must have at most {URL_LENGTH:,} characters.")
    try:
        check_url(text)
    except WebhookError as exc:
        raise InvalidWebhook("url", str(exc)) from None
    return text


def _tasks(value: Iterable[Any]) -> list[str]:
    patterns = list(dict.fromkeys(str(one).strip() for one in value))
    if len(patterns) > MOST_PATTERNS:
        raise _wrong("tasks", f"{len(patterns):,} of them", f"must be at most {MOST_PATTERNS}")
    for one in patterns:
        if not (0 < len(one) <= PATTERN_LENGTH and one.isprintable() and not re.search(r"\s", one)):
            rule = f"must be names of tasks of 1 to {PATTERN_LENGTH} characters without spaces, in which * is anything"
            raise _wrong("tasks", one, rule)
    return patterns


def _states(value: Iterable[Any]) -> list[str]:
    given = {str(one) for one in value}
    if not given or given - set(STATES):
        shown = ", ".join(sorted(given - set(STATES))) or "nothing"
        raise _wrong("states", shown, f"must be one or more of {', '.join(STATES)}")
    return [state.value for state in STATES if state in given]


def _queue(value: Any) -> str:
    text = str(value or "").strip()
    if text and not is_queue_name(text):
        raise _wrong("queue", text, f"must be {RULE}, or empty for all queues")
    return text


_RULES: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "url": _url,
    "tasks": _tasks,
    "states": _states,
    "queue": _queue,
    "enabled": bool,
}


def _wrong(field: str, value: object, rule: str) -> InvalidWebhook:
    return InvalidWebhook(field, f"{field}={value!r:.200} is not valid: it {rule}.")
