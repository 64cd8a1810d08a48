"""The queues: what waits, how it moves, who listens; pause and resume."""

from django.http import HttpRequest, HttpResponse

from jobs.conf import brokers
from jobs.dashboard.access import page
from jobs.dashboard.pages import TICKS, show
from jobs.reports.queues import queues as every_queue
from jobs.reports.remembered import remembered


@page
def queues(request: HttpRequest) -> HttpResponse:
    """Show every queue."""
    found = every_queue() if request.GET.get("fresh") else remembered("queues", 1.0, every_queue)
    return show(request, "queues", "queues", events=TICKS, queues=found, by_broker=bool(brokers()))
