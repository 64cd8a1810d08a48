"""Queues: paused by adding one here or choosing it, resumed by choosing it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from jobs.admin.base import LedgerAdmin, may_operate, user_name
from jobs.models import Queue
from jobs.operations import actions
from jobs.reports.queues import known


class PauseForm(forms.ModelForm):  # type: ignore[type-arg]
    """Asks which queue to pause."""

    name = forms.ChoiceField(help_text="No job of it begins until it is resumed; what runs goes on.")

    class Meta:
        """The one field."""

        model = Queue
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = self.fields["name"]
        assert isinstance(choices, forms.ChoiceField)  # noqa: S101 (for the type checker)
        choices.choices = [(name, name) for name in sorted(known())]

    def validate_unique(self) -> None:
        """Pass: pausing a queue that is known already is what the form is for."""


@admin.register(Queue)
class QueueAdmin(LedgerAdmin):
    """The queues somebody has paused or resumed."""

    list_display = ("name", "paused_at", "paused_by")
    sortable_by = ()
    actions = ("pause", "resume")
    form = PauseForm

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may_operate(request)

    def save_model(self, request: HttpRequest, obj: Queue, form: Any, change: bool) -> None:
        """Pause the queue that was chosen."""
        actions.pause_queue(obj.name, actor=user_name(request))

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Queue]) -> None:
        """Pause the queues chosen."""
        for queue in queryset:
            actions.pause_queue(queue.name, actor=user_name(request))
            messages.success(request, f"Queue {queue.name} is paused.")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Queue]) -> None:
        """Resume the queues chosen."""
        for queue in queryset:
            actions.resume_queue(queue.name, actor=user_name(request))
            messages.success(request, f"Queue {queue.name} goes on.")
