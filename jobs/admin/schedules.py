"""Schedules: django-celery-beat's own page, with what comes next, what came of it, and a run-now on record."""

from typing import Any

from celery.schedules import ParseException
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django_celery_beat.admin import CrontabScheduleAdmin, PeriodicTaskAdmin
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from jobs.admin.base import may_operate, user_name
from jobs.errors import EnqueueError
from jobs.schedules import latest_run, next_runs, readable, run_now, unreadable

admin.site.unregister([PeriodicTask, CrontabSchedule])


@admin.register(PeriodicTask)
class ScheduleAdmin(PeriodicTaskAdmin):
    """Schedules, with the engine's own way to run one now."""

    list_display = ("name", "enabled", "task", "scheduler", "next_run", "last_outcome", "one_off")
    list_select_related = ("crontab", "interval", "solar", "clocked")
    readonly_fields = (*PeriodicTaskAdmin.readonly_fields, "coming", "last_outcome")
    fieldsets = (
        *PeriodicTaskAdmin.fieldsets[:2],
        ("Runs", {"fields": ("coming", "last_outcome"), "classes": ("wide",)}),
        *PeriodicTaskAdmin.fieldsets[2:],
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[PeriodicTask]:
        """Return those that can be read; say which cannot."""
        found: QuerySet[PeriodicTask] = super().get_queryset(request)
        return found.filter(pk__in=readable())

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list, and say which schedules cannot be read."""
        for words in unreadable():
            messages.error(request, words)
        return super().changelist_view(request, extra_context)

    @admin.display(description="translation")
    def crontab_translation(self, schedule: PeriodicTask) -> str:
        """The crontab in words; the original fails for a schedule that has none."""
        return schedule.crontab.human_readable if schedule.crontab else ""

    @admin.display(description="next run")
    def next_run(self, schedule: PeriodicTask) -> str:
        """When it runs next, in its own time zone."""
        if not schedule.enabled:
            return "switched off"
        return next((in_its_zone(moment) for moment in next_runs(schedule, 1)), "never")

    @admin.display(description="next runs")
    def coming(self, schedule: PeriodicTask) -> str:
        """The next five, in its own time zone."""
        if schedule.pk is None:
            return "They show once it is saved."
        if not schedule.enabled:
            return "It is switched off."
        moments = [(in_its_zone(moment),) for moment in next_runs(schedule)]
        return format_html_join("", "{}<br>", moments) if moments else "It never runs."

    @admin.display(description="last outcome")
    def last_outcome(self, schedule: PeriodicTask) -> str:
        """What came of its latest run, with a link to the job."""
        run = None if schedule.pk is None else latest_run(schedule)
        if run is None:
            return "It has not run yet."
        when = in_its_zone(run.due_at)
        if run.job_id is None:
            return f"{when}: no job was made; Beat's log says why."
        if (job := run.job) is None:
            return f"{when}: its job has been pruned."
        return outcome(str(job.pk), str(job.state), when)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether a person may run schedules."""
        return may_operate(request)

    @admin.action(description="Run now", permissions=["operate"])
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Enqueue the jobs of the schedules chosen, beside their regular runs."""
        for schedule in queryset:
            try:
                job_id = run_now(schedule, actor=user_name(request))
            except EnqueueError as exc:
                messages.error(request, f"{schedule.name}: {exc}")
            else:
                messages.success(request, f"{schedule.name} runs now, as job {job_id}.")


class CrontabForm(ModelForm):  # type: ignore[type-arg]  # Django's own is no generic class when it runs.
    """Asks for a crontab, and refuses one that names no day there is."""

    def clean(self) -> dict[str, Any]:
        """Let Celery read it, which knows how long months are."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return data
        crontab = CrontabSchedule(**data)
        try:
            crontab.clean_fields()
        except ValidationError:
            # The form says so itself, field by field.
            return data
        try:
            _ = crontab.schedule
        except (ValueError, ParseException) as exc:
            raise ValidationError(f"This never runs. {exc}") from exc
        return data


@admin.register(CrontabSchedule)
class CrontabAdmin(CrontabScheduleAdmin):
    """Crontabs, each in its own time zone."""

    form = CrontabForm


def in_its_zone(moment: Any) -> str:
    """Return a time with its zone: `Sat 2026-11-28 04:00 UTC`."""
    return f"{moment:%a %Y-%m-%d %H:%M %Z}"


def outcome(job_id: str, state: str, when: str) -> SafeString:
    """Return a run's outcome with a link to its job."""
    return format_html('<a href="{}">{}</a>, {}', reverse("jobs:job", args=[job_id]), state, when)
