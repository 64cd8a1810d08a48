"""Schedules: django-celery-beat's own page, with a run-now that goes through the ledger and is on record."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import PeriodicTask

from jobs.admin.base import may_operate, user_name
from jobs.errors import EnqueueError
from jobs.schedules import run_now

admin.site.unregister(PeriodicTask)


@admin.register(PeriodicTask)
class ScheduleAdmin(PeriodicTaskAdmin):
    """Schedules, with the engine's own way to run one now."""

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
