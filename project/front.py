"""The front page: what this is, where to go, what is going on."""

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve
from django.views.decorators.http import require_safe

from jobs.core.states import FINAL, State
from jobs.models import Job

LATEST = 6


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere to go: a path of this site, or a whole address elsewhere; for staff who have the permission, if any."""

    name: str
    address: str
    what: str
    permission: str = ""

    @property
    def exists(self) -> bool:
        """Whether this site has it switched on."""
        if not self.address.startswith("/"):
            return True
        try:
            resolve(self.address)
        except Resolver404:
            return False
        return True


#: What the dashboard asks of whoever looks at jobs.
LOOK = "jobs.view_job"

#: What it asks of whoever changes them.
ACT = "jobs.operate_job"

PLACES = (
    Place("Dashboard", "/jobs/", "Every job, queue, schedule and worker, live.", LOOK),
    Place("Playground", "/playground/", "Fifty jobs of every kind, and a worker to kill.", ACT),
    Place("Inbox", "/inbox/", "Every mail this development site has sent."),
    Place("Admin", "/admin/", "Users, schedules and the ledger's rows."),
    Place("API", "/api/docs", "Submit and watch jobs over HTTP."),
    Place("Health", "/readyz", "Whether each part answers."),
)


@require_safe
def front(request: HttpRequest) -> HttpResponse:
    """Show the front page; what happens inside only to those who may see it."""
    flower = [Place("Flower", settings.FLOWER_URL, "The workers, as Celery sees them.", LOOK)]
    offered = (*PLACES, *(flower if settings.FLOWER_URL else ()))
    context: dict[str, object] = {
        "places": [place for place in offered if _may(request, place.permission) and place.exists]
    }
    if _may(request, LOOK):
        context |= {"latest": Job.objects.order_by("-changed_at", "-id")[:LATEST], "unfinished": _unfinished()}
    return render(request, "front.html", context)


def _may(request: HttpRequest, permission: str) -> bool:
    """Return whether a visitor is a member of staff with this permission; in development everybody is."""
    user = request.user
    return settings.DEBUG or (user.is_active and user.is_staff and (not permission or user.has_perm(permission)))


def _unfinished() -> list[tuple[State, int]]:
    """Return how many jobs are in each state that is not an end, in the order of a job's life."""
    rows = Job.objects.exclude(state__in=FINAL).order_by().values_list("state").annotate(Count("id"))
    counts = {State(state): count for state, count in rows}
    return [(state, counts[state]) for state in State if counts.get(state)]
