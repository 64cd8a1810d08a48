"""Circuit breakers: to be looked at, opened and closed."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from jobs.admin.base import LedgerAdmin, user_name
from jobs.models import BreakerChange, CircuitBreaker
from jobs.operations import breakers


@admin.register(CircuitBreaker)
class CircuitBreakerAdmin(LedgerAdmin):
    """The breakers of dependencies that jobs have needed."""

    list_display = ("name", "state", "opened_at", "opened_by", "reason", "next_probe_at", "failed_probes", "openings")
    sortable_by = ()
    actions = ("open", "close")

    @admin.action(description="Open: hold back their jobs", permissions=["operate"])
    def open(self, request: HttpRequest, queryset: QuerySet[CircuitBreaker]) -> None:
        """Open the breakers chosen."""
        for breaker in queryset:
            breakers.open_breaker(breaker.name, actor=user_name(request))
            messages.success(request, f"Breaker {breaker.name} is open: its jobs wait until it is closed.")

    @admin.action(description="Close: let their jobs go on", permissions=["operate"])
    def close(self, request: HttpRequest, queryset: QuerySet[CircuitBreaker]) -> None:
        """Close the breakers chosen."""
        for breaker in queryset:
            breakers.close_breaker(breaker.name, actor=user_name(request))
            messages.success(request, f"Breaker {breaker.name} is closed: its jobs go on.")


@admin.register(BreakerChange)
class BreakerChangeAdmin(LedgerAdmin):
    """When breakers opened and closed, and why."""

    list_display = ("at", "breaker", "state", "actor", "reason")
    search_fields = ("breaker",)
    sortable_by = ()
    ordering = ("-at", "-id")
