"""Limits, pauses and weights: seen here, reset, paused, resumed and weighed; limits are set on the dashboard."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest

from jobs.admin.base import LedgerAdmin, user_name
from jobs.core.limits import Kind
from jobs.errors import InvalidRule
from jobs.models import FlowRule
from jobs.operations import flow


class Weighing(ActionForm):
    """The action, and the weight that one of them takes."""

    weight = forms.CharField(required=False, label="weight")


@admin.register(FlowRule)
class FlowRuleAdmin(LedgerAdmin):
    """What limits, pauses and weighs jobs."""

    list_display = (
        "kind",
        "name",
        "rate",
        "burst",
        "concurrency",
        "weight",
        "source",
        "changed_by",
        "paused_at",
        "paused_until",
    )
    action_form = Weighing
    list_filter = ("kind", "source")
    search_fields = ("name",)
    sortable_by = ()
    ordering = ("kind", "name")
    actions = ("reset", "pause", "resume", "weigh")

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

    @admin.action(description="Weigh tenants", permissions=["operate"])
    def weigh(self, request: HttpRequest, queryset: QuerySet[FlowRule]) -> None:
        """Give the tenants chosen the weight said beside the action."""
        said = request.POST.get("weight", "")

        def change(kind: Kind, name: str, *, actor: str) -> None:
            if kind != Kind.TENANT:
                raise InvalidRule(f"Tenants have weights, a {kind} has none.")
            flow.set_weight(name, flow.weight_of(said), actor=actor)

        self._each(request, queryset, change, f"weighs {said} where others weigh 1")

    def _each(self, request: HttpRequest, chosen: QuerySet[FlowRule], change: Any, done: str) -> None:
        for rule in chosen:
            try:
                change(Kind(rule.kind), rule.name, actor=user_name(request))
            except InvalidRule as exc:
                messages.error(request, f"{rule.kind.capitalize()} {rule.name} was not changed. {exc}")
            else:
                messages.success(request, f"{rule.kind.capitalize()} {rule.name} {done}.")
