"""Jobs and their attempts."""

import uuid
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from jobs.admin.base import Choices, Lately, LedgerAdmin, act, as_text, as_tree, moment, took, user_name
from jobs.core.states import State
from jobs.models import Attempt, Job
from jobs.operations import actions
from jobs.operations.filters import JobFilter
from jobs.operations.job_json import named_arguments
from jobs.operations.wording import short_id, tries
from jobs.reports.queues import known
from jobs.tasks.redaction import shown_unique_key
from jobs.tasks.registry import may_have_jobs, names_of, registered
from jobs.templatetags.look import state
from jobs.templatetags.shell import breakable


class StateFilter(Choices):
    """By state."""

    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, state.value) for state in State]


class QueueFilter(Choices):
    """By queue."""

    title = parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(known())]


class TaskFilter(Choices):
    """By task."""

    title = parameter_name = "task"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = {task.name for task in registered().values()}
        return [(name, name) for name in sorted(names) if may_have_jobs(name)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(task__in=names_of(value)) if value else queryset


class AttemptInline(admin.TabularInline):  # type: ignore[type-arg]
    """The failed attempts of a job, on its page."""

    model = Attempt
    fields = ("number", "outcome", "error_type", "error", "worker", "started_at", "finished_at", "where")
    readonly_fields = fields
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("jobs.view_job")

    @admin.display(description="traceback")
    def where(self, attempt: Attempt) -> SafeString:
        """The end of the traceback, which says where."""
        return as_text("\n".join(attempt.traceback.splitlines()[-6:]))


@admin.register(Job)
class JobAdmin(LedgerAdmin):
    """Find jobs, see why they failed, retry and cancel them."""

    list_display = ("short", "shown_state", "shown_task", "queue", "tries", "enqueued", "took", "error")
    list_filter = (StateFilter, QueueFilter, TaskFilter, Lately)
    search_fields = ("id",)
    search_help_text = "An id, a correlation id, or text in the arguments or the latest error"
    ordering = ("-created_at", "-id")
    sortable_by = ()
    inlines = (AttemptInline,)
    unlisted = ("args", "kwargs", "options")
    actions = ("retry", "cancel")
    fieldsets = (
        (None, {"fields": ("id", "task", "shown_state", "last_error", "arguments", "progress")}),
        ("Where and how", {"fields": ("queue", "priority", "tries", "worker_losses", "worker", "unique_as")}),
        (
            "When",
            {
                "fields": (
                    "created_at",
                    "run_at",
                    "dispatched_at",
                    "started_at",
                    "finished_at",
                    "expires_at",
                    "deadline_at",
                )
            },
        ),
        ("Kin", {"fields": ("correlation_id", "parent_id", "replay_of")}),
    )

    @admin.display(description="id")
    def short(self, job: Job) -> SafeString:
        """The end of its id, where ids differ."""
        return format_html('<code title="{}">{}</code>', job.pk, short_id(job.pk))

    @admin.display(description="state")
    def shown_state(self, job: Job) -> SafeString:
        """Its state, as every page shows it."""
        return state(job.state)

    @admin.display(description="task")
    def shown_task(self, job: Job) -> SafeString:
        """Its task, whose long name may be broken."""
        return breakable(job.task)

    @admin.display(description="attempt")
    def tries(self, job: Job) -> str:
        """The attempt of how many."""
        return tries(job)

    @admin.display(description="enqueued")
    def enqueued(self, job: Job) -> str:
        """When it was enqueued, to the second."""
        return moment(job.created_at)

    @admin.display(description="took")
    def took(self, job: Job) -> str:
        """How long the latest attempt took."""
        return took(job.started_at, job.finished_at)

    @admin.display(description="latest error")
    def error(self, job: Job) -> str:
        """The beginning of the latest error."""
        return Truncator(job.last_error).chars(100)

    @admin.display(description="arguments")
    def arguments(self, job: Job) -> SafeString:
        """The arguments, redacted."""
        return as_tree(named_arguments(job.task, job.args, job.kwargs))

    @admin.display(description="unique as")
    def unique_as(self, job: Job) -> str:
        """What no other waiting job may share, redacted."""
        return shown_unique_key(job.task, job.unique_key)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(pk=uuid.UUID(term)), False
        except ValueError:
            # The filter, not Django's own search: it looks into no argument that a task hides.
            found = JobFilter(text=term).jobs().order_by().values("pk")
            return queryset.filter(Q(correlation_id=term) | Q(pk__in=found)), False

    @admin.action(description="Retry", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Put the jobs chosen into their queues now."""
        return act(
            request,
            queryset,
            ("retry", "Retry", "jobs"),
            lambda ids: partial(actions.retry_jobs, JobFilter(ids=ids), actor=user_name(request)),
        )

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        """Cancel the jobs chosen that have not ended."""
        return act(
            request,
            queryset,
            ("cancel", "Cancel", "jobs"),
            lambda ids: partial(actions.cancel_jobs, JobFilter(ids=ids), actor=user_name(request)),
        )


@admin.register(Attempt)
class AttemptAdmin(LedgerAdmin):
    """Every attempt that did not succeed."""

    list_display = ("id", "job_id", "number", "outcome", "error_type", "short", "worker", "finished_at")
    list_filter = ("outcome",)
    unlisted = ("traceback",)
    search_fields = ("=job__id",)
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        *("job_id", "number", "outcome", "error_type", "error", "whole_traceback"),
        *("worker", "started_at", "finished_at"),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Attempt], search_term: str
    ) -> tuple[QuerySet[Attempt], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(job_id=uuid.UUID(term)), False
        except ValueError:
            return queryset.filter(error__icontains=term), False

    @admin.display(description="error")
    def short(self, attempt: Attempt) -> str:
        """The beginning of the error."""
        return attempt.error[:120]

    @admin.display(description="traceback")
    def whole_traceback(self, attempt: Attempt) -> SafeString:
        """The traceback."""
        return as_text(attempt.traceback)
