"""The workers: who is there, what each runs, and who went silent."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from jobs.dashboard.access import page
from jobs.dashboard.pages import TICKS, show
from jobs.models import Job, Worker
from jobs.reports import workers as reports

#: Running jobs that are shown of each worker.
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Present:
    """A worker as the page shows it."""

    worker: Worker
    presence: reports.Presence
    jobs: tuple[Job, ...]

    @property
    def more(self) -> int:
        """How many jobs it runs besides those shown."""
        return max(self.worker.running - len(self.jobs), 0) if len(self.jobs) == SHOWN else 0


@page
def workers(request: HttpRequest) -> HttpResponse:
    """Show every worker that is there, and those that were a short while ago."""
    found = [_present(*one) for one in reports.by_presence(reports.recent())]
    alive = sum(one.presence is reports.Presence.ALIVE for one in found)
    return show(request, "workers", "workers", events=TICKS, workers=found, alive=alive, flower=settings.FLOWER_URL)


def _present(worker: Worker, presence: reports.Presence) -> Present:
    jobs = () if presence is reports.Presence.STOPPED else tuple(reports.running_jobs(worker)[:SHOWN])
    return Present(worker, presence, jobs)
