"""What every page of the dashboard has: its rooms, the clock, whether its reader may act, what its scripts find."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from jobs.core.states import State
from jobs.dashboard.access import may_act, may_submit
from jobs.operations.search import NAMES
from jobs.reports.queues import known
from jobs.reports.remembered import remembered
from jobs.tasks.registry import may_have_jobs, registered

#: The rooms of the dashboard, with the letter that leads there after `g`.
ROOMS = (
    ("overview", "Overview", "o"),
    ("jobs", "Jobs", "j"),
    ("dead-letters", "Dead letters", "d"),
    ("queues", "Queues", "q"),
    ("flow", "Flow", "f"),
    ("schedules", "Schedules", "s"),
    ("webhooks", "Webhooks", "k"),
    ("workers", "Workers", "w"),
    ("history", "History", "h"),
)


#: Live events for pages of figures: told at most once a second that something has changed.
TICKS = "/api/events?ticks=1"


def show(request: HttpRequest, template: str, room: str, **context: Any) -> HttpResponse:
    """Render a page in one of the rooms. `events` is where its scripts hear of changes."""
    rooms = [
        {"name": name, "label": label, "key": key, "address": reverse(f"jobs:{name}"), "here": name == room}
        for name, label, key in ROOMS
    ]
    common = {
        "rooms": rooms,
        "room": next(item for item in rooms if item["here"]),
        "now": timezone.now(),
        "operates": may_act(request.user),
        "submits": may_submit(request.user),
        "states": list(State),
        "vocabulary": vocabulary(),
    }
    return render(request, f"jobs/{template}.html", {**common, **context})


def vocabulary() -> dict[str, Any]:
    """Return what the search suggests, and the palette finds."""
    return remembered(
        "vocabulary",
        60,
        lambda: {
            "names": NAMES,
            "states": [state.value for state in State],
            "tasks": sorted(name for name in registered() if may_have_jobs(name)),
            "queues": sorted(known()),
        },
    )


def plural(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: `1 job`, `1,204 jobs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def query(**values: str) -> str:
    """Return the part of an address after the question mark, readable where it may be."""
    return urlencode({name: value for name, value in values.items() if value}, safe=":,")
