"""The playground's page and its two buttons, for whoever may act on jobs."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path

from jobs.dashboard.access import action, actor, page
from project.playground.fifty import enqueue
from project.playground.killing import NoWorker, kill_a_worker


@page
def playground(request: HttpRequest) -> HttpResponse:
    """Show what there is to play with."""
    return render(request, "playground.html")


@action
def fifty(request: HttpRequest) -> HttpResponse:
    """Enqueue fifty jobs."""
    number = enqueue(actor(request))
    messages.success(request, f"Enqueued {number} jobs. The newest are on top; each says what becomes of it.")
    return redirect("jobs:jobs")


@action
def kill(request: HttpRequest) -> HttpResponse:
    """Kill a worker."""
    try:
        worker, running = kill_a_worker(actor(request))
    except NoWorker as exc:
        messages.error(request, str(exc))
        return redirect("playground:playground")
    messages.success(
        request,
        f"Killed {worker.name}, process {worker.pid}, with {running} running. Another one comes up within "
        "seconds; what ran goes on as soon as its lease has run out, within half a minute.",
    )
    return redirect("jobs:workers")


app_name = "playground"
urlpatterns = [
    path("", playground, name="playground"),
    path("fifty", fifty, name="fifty"),
    path("kill", kill, name="kill"),
]
