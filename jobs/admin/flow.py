"""Limits and pauses: seen here, reset, paused and resumed; figures are set on the dashboard."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from jobs.admin.base import LedgerAdmin, user_name
from jobs.core.limits import Kind
from jobs.models import FlowRule
from jobs.operations import flow


@admin.register(FlowRule)
class FlowRuleAdmin(LedgerAdmin):
    """What limits and pauses jobs."""

    list_display = ("kind", "name", "rate", "burst", "concurrency", "source", "changed_by", "paused_at", "paused_until")
    list_filter = ("kind", "source")
    search_fields = ("name",)
    sortable_by = ()
    ordering = ("kind", "name")
    actions = ("reset", "pause", "resume")

    @admin.action(description="Let the limit be what code and settings say", permissions=["operate"])
    def reset(self, request: HttpRequest, queryset: QuerySet[FlowRule]) -> None:
        """Reset the limits chosen."""
        self._each(request, queryset, flow.reset_limit, "is limited as code and settings say")

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[FlowRule]) -> None:
        """Pause what was chosen."""
        self._each(request, queryset, flow.pause, "is paused")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[FlowRule]) -> None:
        """Resume what was chosen."""
        self._each(request, queryset, flow.resume, "goes on")

    def _each(self, request: HttpRequest, chosen: QuerySet[FlowRule], change: Any, done: str) -> None:
        for rule in chosen:
            change(Kind(rule.kind), rule.name, actor=user_name(request))
            messages.success(request, f"{rule.kind.capitalize()} {rule.name} {done}.")
