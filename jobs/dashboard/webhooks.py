"""Webhooks: who is told what becomes of jobs, what each was told, and what can be done about it."""

from functools import partial

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from jobs.core.states import FINAL, State
from jobs.dashboard.access import action, actor, page
from jobs.dashboard.actions import Verb, asked_first, chosen_ids
from jobs.dashboard.pages import TICKS, show
from jobs.models import Job, Webhook
from jobs.operations import paging, webhooks as operations
from jobs.reports.remembered import remembered
from jobs.reports.webhooks import WAITING, WINDOW, WebhookReport, report, reports

#: Deliveries on a page.
PAGE = 50

REDELIVER = Verb(
    *("redeliver", "Deliver again", "Delivered again", "event"),
    consequence="Each is sent again with the id it had, and its tries begin anew. A receiver that has taken it before "
    "gets it twice, and can tell by the id.",
    none="None of them can be delivered again: they are on their way already.",
)


@page
def webhooks(request: HttpRequest) -> HttpResponse:
    """Show every webhook, and how it fares."""
    found = reports() if request.GET.get("fresh") else remembered("webhooks", 1.0, reports)
    return show(request, "webhooks", "webhooks", events=TICKS, reports=found)


@page
def webhook(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Show one webhook: what it is told, and what it was told."""
    found = report(_webhook(webhook_id))
    state = request.GET.get("state", "")
    cursor = request.GET.get("after", "")
    try:
        rows = paging.page(_deliveries(found.webhook, state), "created_at", limit=PAGE, cursor=cursor)
    except paging.InvalidCursor:
        messages.error(request, "That page of the list is not there any more; this is its beginning.")
        return redirect("jobs:webhook", webhook_id)
    return show(
        request,
        "webhook",
        "webhooks",
        events=TICKS,
        report=found,
        webhook=found.webhook,
        tabs=_tabs(found),
        window=WINDOW,
        wanted=state,
        deliveries=rows.rows,
        cursor=cursor,
        next_cursor=rows.next_cursor or "",
        at_rest=sorted(FINAL | {State.RETRYING, State.SCHEDULED}),
    )


@action
def redeliver(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Deliver again one event, or all that died."""
    ids = chosen_ids(request.POST)
    if "id" in request.POST and not ids:
        raise Http404("There is no such delivery.")
    act = partial(operations.redeliver, _webhook(webhook_id), ids=ids, actor=actor(request))
    return asked_first(request, REDELIVER, act, "jobs:webhooks", alone=len(ids) == 1)


@action
def enable(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Tell a webhook again what becomes of jobs."""
    return _switch(request, webhook_id, on=True)


@action
def disable(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Tell a webhook nothing."""
    return _switch(request, webhook_id, on=False)


@action
def send_test(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Send a test."""
    found = _webhook(webhook_id)
    operations.send_test(found, actor=actor(request))
    messages.success(request, f"A test is on its way to {found.name}: the first of its deliveries.")
    return redirect("jobs:webhook", found.pk)


def _switch(request: HttpRequest, webhook_id: int, *, on: bool) -> HttpResponse:
    found = _webhook(webhook_id)
    operations.switch(found, on=on, actor=actor(request))
    what = "It is told of what happens from now on." if on else "It is told nothing until it is enabled."
    messages.success(request, f"{'Enabled' if on else 'Disabled'} {found.name}. {what}")
    return redirect("jobs:webhook", found.pk)


def _deliveries(found: Webhook, state: str) -> QuerySet[Job]:
    """Return the deliveries of a tab."""
    if state == "waiting":
        return operations.deliveries(found, WAITING)
    return operations.deliveries(found, [State(state)] if state in set(State) else ())


def _tabs(found: WebhookReport) -> list[tuple[str, str, int]]:
    """Return the tabs of a webhook's deliveries: the words for each, what the address says, and how many there are."""
    ended = [State.SUCCEEDED, State.DEAD, State.CANCELLED]
    counted = [(state.value, state.value, found.states[state]) for state in ended]
    return [("all", "", sum(found.states.values())), ("waiting", "waiting", found.waiting), *counted]


def _webhook(webhook_id: int) -> Webhook:
    found = Webhook.objects.filter(pk=webhook_id).first() if webhook_id < 2**63 else None
    if found is None:
        raise Http404("There is no such webhook: it was deleted.")
    return found
