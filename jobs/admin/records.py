"""What is only ever read: operators' actions, workers, runs of schedules."""

import json

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from jobs.admin.base import LedgerAdmin, as_tree
from jobs.models import OperatorAction, ScheduleRun, Worker
from jobs.reports import workers


@admin.register(OperatorAction)
class OperatorActionAdmin(LedgerAdmin):
    """Who did what to how many, and when."""

    list_display = ("at", "actor", "action", "short", "count")
    search_fields = ("actor",)
    ordering = ("-at", "-id")
    sortable_by = ()
    fields = ("at", "actor", "action", "chosen", "count")

    @admin.display(description="target")
    def short(self, action: OperatorAction) -> str:
        """The beginning of what it concerned, which may be thousands of ids."""
        return Truncator(json.dumps(action.target, ensure_ascii=False)).chars(200)

    @admin.display(description="target")
    def chosen(self, action: OperatorAction) -> SafeString:
        """What it concerned."""
        return as_tree(action.target)


@admin.register(Worker)
class WorkerAdmin(LedgerAdmin):
    """The workers of the last day."""

    list_display = ("name", "presence", "pool", "concurrency", "running", "started_at", "seen_at", "stopped_at")
    sortable_by = ()
    ordering = ("-seen_at",)

    @admin.display(description="is")
    def presence(self, worker: Worker) -> str:
        """Whether it is there."""
        return workers.presence(worker).value


@admin.register(ScheduleRun)
class ScheduleRunAdmin(LedgerAdmin):
    """Every firing of a schedule."""

    list_display = ("schedule", "due_at", "fired_at", "job_id", "asked_by")
    list_select_related = ("schedule",)
    sortable_by = ()
    ordering = ("-due_at",)
