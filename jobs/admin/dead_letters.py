"""Dead letters."""

import uuid
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from jobs.admin.base import Choices, Lately, LedgerAdmin, act, as_tree, moment, user_name
from jobs.admin.jobs import QueueFilter, TaskFilter
from jobs.core.outcome import Reason
from jobs.models import DeadLetter
from jobs.operations import dead_letter_actions
from jobs.operations.dead_letter_json import dead_letter_json
from jobs.operations.filters import DeadLetterFilter


class ReasonFilter(Choices):
    """By reason."""

    title = parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(reason.value, reason.value) for reason in Reason]


class OpenFilter(admin.SimpleListFilter):
    """By whether somebody has dealt with it."""

    title = "dealt with"
    parameter_name = "done"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Not yet"), ("replayed", "Replayed"), ("discarded", "Discarded")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> QuerySet[DeadLetter]:
        match self.value():
            case "no":
                return queryset.filter(replayed_at=None, discarded_at=None)
            case "replayed":
                return queryset.exclude(replayed_at=None)
            case "discarded":
                return queryset.exclude(discarded_at=None)
        return queryset


class FailedLately(Lately):
    """By the time of failing."""

    field = "failed_at"


@admin.register(DeadLetter)
class DeadLetterAdmin(LedgerAdmin):
    """Find what gave up or could not be read, replay it or set it aside."""

    list_display = ("id", "task", "queue", "reason", "attempt", "failed", "done", "short")
    list_filter = (OpenFilter, ReasonFilter, QueueFilter, TaskFilter, FailedLately)
    search_fields = ("id",)
    search_help_text = "An id, a job's id, or text in the arguments or the error"
    ordering = ("-failed_at", "-id")
    sortable_by = ()
    actions = ("replay", "discard")
    unlisted = ("args", "kwargs", "body", "headers", "properties")
    # Not the body, nor the headers, which repeat arguments that a task hides.
    fields = (
        *("id", "task", "reason", "error", "arguments", "attempt", "job_id", "queue", "exchange", "routing_key"),
        *("content_type", "content_encoding", "correlation_id", "failed_at", "archived_at"),
        *("replayed_at", "replay_job_id", "discarded_at"),
    )

    @admin.display(description="failed")
    def failed(self, letter: DeadLetter) -> str:
        """When it failed, to the second."""
        return moment(letter.failed_at)

    @admin.display(description="dealt with")
    def done(self, letter: DeadLetter) -> str:
        """What somebody has done with it."""
        return "replayed" if letter.replayed_at else "discarded" if letter.discarded_at else ""

    @admin.display(description="error")
    def short(self, letter: DeadLetter) -> str:
        """The beginning of the error."""
        return letter.error[:120]

    @admin.display(description="arguments")
    def arguments(self, letter: DeadLetter) -> SafeString:
        """The arguments, redacted."""
        return as_tree(dead_letter_json(letter)["kwargs"])

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[DeadLetter], search_term: str
    ) -> tuple[QuerySet[DeadLetter], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            key = uuid.UUID(term)
        except ValueError:
            found = DeadLetterFilter(text=term, open_only=False).dead_letters().order_by().values("pk")
            return queryset.filter(pk__in=found), False
        return queryset.filter(Q(pk=key) | Q(job_id=key)), False

    @admin.action(description="Replay", permissions=["operate"])
    def replay(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> HttpResponse | None:
        """Run the dead letters chosen again, except those replayed or discarded before."""
        return act(
            request,
            queryset,
            ("replay", "Replay", "dead letters"),
            lambda ids: partial(dead_letter_actions.replay, DeadLetterFilter(ids=ids), actor=user_name(request)),
        )

    @admin.action(description="Discard", permissions=["operate"])
    def discard(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> HttpResponse | None:
        """Set the dead letters chosen aside for good."""
        return act(
            request,
            queryset,
            ("discard", "Discard", "dead letters"),
            lambda ids: partial(dead_letter_actions.discard, DeadLetterFilter(ids=ids), actor=user_name(request)),
        )
