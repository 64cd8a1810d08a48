"""Who may look, and who may act: staff, by Django's own permissions. The server refuses; pages only do not offer."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from jobs.tasks.task import JobTask

LOOK = "jobs.view_job"
ACT = "jobs.operate_job"
SUBMIT = "jobs.add_job"
RUN = "jobs.run_task"

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class Person(Protocol):
    """Whoever asks: a user of any model, or nobody."""

    @property
    def is_active(self) -> bool: ...
    @property
    def is_staff(self) -> bool: ...
    def has_perm(self, perm: str, /) -> bool: ...


def may_look(user: Person) -> bool:
    """Return whether a person may see jobs."""
    return user.is_active and user.is_staff and user.has_perm(LOOK)


def may_act(user: Person) -> bool:
    """Return whether a person may retry, cancel, replay, discard, pause, resume and run."""
    return may_look(user) and user.has_perm(ACT)


def may_submit(user: Person) -> bool:
    """Return whether a person may run some task: any, or those that are public."""
    return may_look(user) and (user.has_perm(RUN) or user.has_perm(SUBMIT))


def may_run(user: Person, task: JobTask) -> bool:
    """Return whether a person may run this task, with any arguments."""
    return may_look(user) and (user.has_perm(RUN) or (task.public and user.has_perm(SUBMIT)))


def actor(request: HttpRequest) -> str:
    """Return under which name what a person does is recorded."""
    return str(getattr(request.user, "email", "") or request.user.get_username())


def page(view: View[P]) -> View[P]:
    """Make a view a page for those who may look; nobody's browser or proxy keeps it."""
    return never_cache(require_safe(_guarded(view, may_look)))


def action(view: View[P]) -> View[P]:
    """Make a view an action for those who may act."""
    return never_cache(require_POST(_guarded(view, may_act)))


def form(view: View[P]) -> View[P]:
    """Make a view a form for those who may have tasks run, shown and sent at one address."""
    return never_cache(require_http_methods(["GET", "HEAD", "POST"])(_guarded(view, may_submit)))


def _guarded(view: View[P], allowed: Callable[[Any], bool]) -> View[P]:
    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path() if request.method in {"GET", "HEAD"} else "/jobs/")
        if not allowed(request.user):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded
