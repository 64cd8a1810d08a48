"""The buttons of queues and schedules: pause, resume, run, enable, disable."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from jobs import schedules
from jobs.dashboard.access import action, actor
from jobs.errors import EnqueueError
from jobs.operations import actions
from jobs.reports.queues import exists


@action
def pause(request: HttpRequest, name: str) -> HttpResponse:
    """Pause a queue."""
    actions.pause_queue(_queue(name), actor=actor(request))
    messages.success(request, f"Paused queue {name}. What runs goes on; nothing else begins until it is resumed.")
    return redirect("jobs:queues")


@action
def resume(request: HttpRequest, name: str) -> HttpResponse:
    """Resume a queue."""
    actions.resume_queue(_queue(name), actor=actor(request))
    messages.success(request, f"Resumed queue {name}.")
    return redirect("jobs:queues")


@action
def run(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Run a schedule's job now, beside its regular runs."""
    entry = _entry(schedule_id)
    try:
        job_id = schedules.run_now(entry.runnable(), actor=actor(request))
    except EnqueueError as exc:
        messages.error(request, f"{entry.row.name} was not run. {exc}")
        return redirect("jobs:schedules")
    messages.success(request, f"{entry.row.name} runs now, as this job.")
    return redirect("jobs:job", job_id)


@action
def enable(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Let a schedule run at its times."""
    return _switch(request, schedule_id, on=True)


@action
def disable(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Let a schedule rest."""
    return _switch(request, schedule_id, on=False)


def _switch(request: HttpRequest, schedule_id: int, *, on: bool) -> HttpResponse:
    row = _entry(schedule_id).row
    schedules.switch(row, on=on, actor=actor(request))
    what = "It runs at its times again." if on else "It does not run until it is enabled."
    messages.success(request, f"{'Enabled' if on else 'Disabled'} {row.name}. {what}")
    return redirect("jobs:schedules")


def _queue(name: str) -> str:
    if not exists(name):
        raise Http404("There is no such queue.")
    return name


def _entry(schedule_id: int) -> schedules.Entry:
    found = schedules.find(schedule_id)
    if found is None:
        raise Http404("There is no such schedule: it was deleted.")
    return found
