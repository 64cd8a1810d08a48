"""What can be done to limits, pauses and weights."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from jobs.core.limits import Kind
from jobs.dashboard.access import action, actor
from jobs.errors import InvalidRule
from jobs.operations import flow as operations

#: How long a pause may be said to last.
PAUSES = {
    "": "until it is resumed",
    "15": "for 15 minutes",
    "60": "for an hour",
    "240": "for 4 hours",
    "1440": "for a day",
}


@action
def limit(request: HttpRequest) -> HttpResponse:
    """Set a limit."""

    def change(kind: Kind, name: str) -> str:
        rate = request.POST.get("rate", "").strip() or None
        burst, concurrency = _number(request, "burst"), _number(request, "concurrency")
        operations.set_limit(kind, name, rate=rate, burst=burst or 1, concurrency=concurrency, actor=actor(request))
        return f"Limited {kind} {name} on all workers, until that is reset."

    return _changed(request, change)


@action
def reset(request: HttpRequest) -> HttpResponse:
    """Let a limit be what code and settings say."""

    def change(kind: Kind, name: str) -> str:
        operations.reset_limit(kind, name, actor=actor(request))
        return f"{kind.capitalize()} {name} is limited as code and settings say."

    return _changed(request, change)


@action
def pause(request: HttpRequest) -> HttpResponse:
    """Pause a task, queue, key or tenant."""

    def change(kind: Kind, name: str) -> str:
        reason = request.POST.get("reason", "").strip()
        operations.pause(kind, name, actor=actor(request), reason=reason, until=_until(request))
        return f"Paused {kind} {name}. What runs goes on; nothing else begins until it is resumed."

    return _changed(request, change)


@action
def resume(request: HttpRequest) -> HttpResponse:
    """Let jobs begin again that a pause kept from it."""

    def change(kind: Kind, name: str) -> str:
        operations.resume(kind, name, actor=actor(request))
        return f"Resumed {kind} {name}."

    return _changed(request, change)


@action
def weight(request: HttpRequest) -> HttpResponse:
    """Weigh a tenant."""

    def change(kind: Kind, name: str) -> str:
        number = operations.weight_of(request.POST.get("weight", ""))
        operations.set_weight(name, number, actor=actor(request))
        return f"Tenant {name} weighs {number:g} where others weigh 1, in every queue."

    return _changed(request, change, Kind.TENANT)


def _changed(request: HttpRequest, change: Callable[[Kind, str], str], kind: Kind | None = None) -> HttpResponse:
    try:
        kind = kind or operations.kind_of(request.POST.get("kind", ""))
        messages.success(request, change(kind, request.POST.get("name", "").strip()))
    except InvalidRule as exc:
        messages.error(request, f"Nothing was changed. {exc}")
    return redirect("jobs:flow")


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.POST.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise InvalidRule(f"{name}={text!r:.40} is not valid: it must be a whole number, one or more.")
    return int(text)


def _until(request: HttpRequest) -> datetime | None:
    minutes: Any = request.POST.get("for", "")
    if minutes not in PAUSES:
        raise InvalidRule(
            f"for={minutes!r:.40} is not valid: it must be one of {', '.join(filter(None, PAUSES))} minutes."
        )
    return timezone.now() + timedelta(minutes=int(minutes)) if minutes else None
