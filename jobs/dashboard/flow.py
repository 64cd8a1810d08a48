"""Flow: what keeps jobs from beginning though they are due; open and close circuit breakers."""

from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from jobs.core.limits import Kind
from jobs.dashboard.access import action, actor, page
from jobs.dashboard.limits import PAUSES
from jobs.dashboard.pages import TICKS, show
from jobs.operations import breakers as operations
from jobs.reports import breakers
from jobs.reports.flow import rules


@page
def flow(request: HttpRequest) -> HttpResponse:
    """Show limits, pauses and circuit breakers: what runs under them, what waits for them."""
    return show(
        request,
        "flow",
        "flow",
        events=TICKS,
        rules=rules(),
        kinds=list(Kind),
        pauses=PAUSES.items(),
        breakers=breakers.every(),
        changes=breakers.history(),
    )


@action
def open_breaker(request: HttpRequest, name: str) -> HttpResponse:
    """Open a circuit breaker."""
    text = f"Opened breaker {name}. Its jobs wait until it is closed; what runs goes on."
    return _changed(request, name, operations.open_breaker, text)


@action
def close_breaker(request: HttpRequest, name: str) -> HttpResponse:
    """Close a circuit breaker."""
    text = f"Closed breaker {name}. Its jobs go on, and their failures are counted anew."
    return _changed(request, name, operations.close_breaker, text)


def _changed(request: HttpRequest, name: str, change: Callable[..., None], text: str) -> HttpResponse:
    if breakers.find(name) is None:
        raise Http404("There is no such breaker: no task names it.")
    change(name, actor=actor(request), reason=request.POST.get("reason", ""))
    messages.success(request, text)
    return redirect("jobs:flow")
