"""What operators did: who, when, what, to how many."""

import json
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

from jobs.dashboard.access import page
from jobs.dashboard.pages import show
from jobs.models import OperatorAction

SHOWN = 200


@dataclass(frozen=True, slots=True)
class Done:
    """One action, its target in words."""

    action: OperatorAction
    target: str


@page
def history(request: HttpRequest) -> HttpResponse:
    """Show the latest actions."""
    found = [Done(action, in_words(action.target)) for action in OperatorAction.objects.all()[:SHOWN]]
    return show(request, "history", "history", actions=found, shown=SHOWN)


def in_words(target: object) -> str:
    """Return what an action was aimed at: names and values, long lists of ids counted."""
    if not isinstance(target, dict):
        return json.dumps(target, ensure_ascii=False)
    return " · ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in target.items()) or "everything"


def _value(value: object) -> str:
    if isinstance(value, list) and len(value) > 3:
        return f"({len(value):,})"
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
