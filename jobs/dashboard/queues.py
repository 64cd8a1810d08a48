"""The queues: what waits, how it moves, who listens, who fills them; pause and resume."""

from django.http import Http404, HttpRequest, HttpResponse

from jobs.conf import brokers
from jobs.dashboard.access import page
from jobs.dashboard.pages import TICKS, show
from jobs.reports.queues import queues as every_queue
from jobs.reports.remembered import remembered
from jobs.reports.shares import shares_of


@page
def queues(request: HttpRequest) -> HttpResponse:
    """Show every queue."""
    found = every_queue() if request.GET.get("fresh") else remembered("queues", 1.0, every_queue)
    return show(request, "queues", "queues", events=TICKS, queues=found, by_broker=bool(brokers()))


@page
def queue(request: HttpRequest, name: str) -> HttpResponse:
    """Show one queue, and who fills it."""
    found = next((one for one in every_queue() if one.name == name), None)
    if found is None:
        raise Http404("There is no such queue: no task names it, and it has no jobs.")
    shares = shares_of(name)
    lists = [("tenant", shares.tenants, shares.tenants_in_all), ("task", shares.tasks, shares.tasks_in_all)]
    return show(
        request, "queue", "queues", events=TICKS, queues=[found], queue=found, lists=lists, by_broker=bool(brokers())
    )
