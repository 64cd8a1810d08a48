"""Running any task from the dashboard: a form made of its signature, now or later, once or many times."""

import inspect
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from jobs.core import correlation
from jobs.dashboard.access import actor, form, may_run
from jobs.dashboard.pages import plural, query, show
from jobs.dashboard.submission_form import SubmissionForm
from jobs.errors import EnqueueError
from jobs.models import Job
from jobs.operations.submissions import is_offered, known_queues, offered, submit
from jobs.operations.task_fields import by_position_only
from jobs.tasks.registry import registered
from jobs.tasks.task import JobTask

#: Makes the ids of a form's jobs of who sent it and which form it was: a form sent twice enqueues once.
_FORMS = uuid.UUID("0c7f8f0e-6d0b-4a55-9d0a-52f0a5c1a3d4")


@dataclass(frozen=True, slots=True)
class Described:
    """A task in words. The task itself is kept out of templates, which call whatever they can call."""

    name: str
    summary: str
    queue: str
    priority: int

    @classmethod
    def of(cls, task: JobTask) -> "Described":
        """Describe a task by the first paragraph of what it says of itself."""
        written = inspect.getdoc(task.run) or ""
        return cls(task.name, " ".join(written.partition("\n\n")[0].split()), task.queue, task.priority)


@form
def new_job(request: HttpRequest) -> HttpResponse:
    """Show the tasks; the form of the one that the address names; and take what was filled in."""
    name = request.GET.get("task", "")
    if not name:
        return show(request, "new_job_tasks", "jobs", choices=_choices(request))
    task = registered().get(name)
    if not isinstance(task, JobTask) or not is_offered(task) or not may_run(request.user, task):
        raise Http404("There is no such task, or you may not run it: a task that is not public takes jobs.run_task.")
    filled = SubmissionForm(task, request.POST if request.method == "POST" else None)
    if request.method == "POST" and filled.is_valid():
        done = _submitted(request, task, filled)
        if done is not None:
            return done
    answer = show(
        request,
        "new_job",
        "jobs",
        task=Described.of(task),
        form=filled,
        queues=known_queues(),
        zone=timezone.get_current_timezone_name(),
        by_position=by_position_only(task),
    )
    answer.status_code = 422 if filled.has_errors else 200
    return answer


def _choices(request: HttpRequest) -> list[Described]:
    return [Described.of(task) for task in offered() if may_run(request.user, task)]


def _submitted(request: HttpRequest, task: JobTask, filled: SubmissionForm) -> HttpResponse | None:
    """Enqueue what the form says and lead to it; None where the ledger refuses it, which the form then says."""
    ids = [uuid.uuid5(_FORMS, f"{request.user.pk}:{filled.once}:{index}") for index in range(len(filled.calls))]
    choice = filled.choice(correlation.current())
    if not Job.objects.filter(pk=ids[0]).exists():
        try:
            ids = submit(task, filled.calls, choice, actor=actor(request), ids=ids)
        except EnqueueError as exc:
            filled.refuse(str(exc))
            return None
    return _led_to(request, task, ids)


def _led_to(request: HttpRequest, task: JobTask, ids: list[uuid.UUID]) -> HttpResponse:
    jobs: Mapping[uuid.UUID, Job] = Job.objects.in_bulk(ids[:1])
    first = jobs[ids[0]]
    if len(ids) == 1:
        messages.success(request, f"{task.name} is {first.state} on queue {first.queue}, as this job.")
        return redirect("jobs:job", first.pk)
    messages.success(request, f"Enqueued {plural(len(set(ids)), 'job')} of {task.name}.")
    return redirect(f"{reverse('jobs:jobs')}?{query(q=f'correlation:{first.correlation_id}')}")
