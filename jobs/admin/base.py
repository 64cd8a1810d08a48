"""What the admin's pages of large, read-only tables have in common."""

import json
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.operations.bulk import Change
from jobs.operations.wording import duration
from jobs.reports.counts import count

#: Who may change anything.
OPERATE = "jobs.operate_job"

#: The most rows of one action; for more there are the dashboard and the command line, which take filters.
MOST = 10_000


def may_operate(request: HttpRequest) -> bool:
    """Return whether a person may retry, cancel, replay, discard, pause and resume."""
    return request.user.has_perm(OPERATE)


class QuickPaginator(Paginator):  # type: ignore[type-arg]  # Django's own is no generic class when it runs.
    """Counts by estimate where there are many: an exact count would take longer than the page."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, about."""
        rows = self.object_list
        return count(rows).value if isinstance(rows, QuerySet) else len(rows)


class LedgerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own is no generic class when it runs.
    """A large table that nobody edits by hand."""

    paginator = QuickPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 50
    actions_selection_counter = True
    #: Large fields that no list shows.
    unlisted: Sequence[str] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        match = request.resolver_match
        is_list = match is not None and (match.url_name or "").endswith("_changelist")
        return rows.defer(*self.unlisted) if is_list else rows

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the actions are offered to a person, and carried out."""
        return may_operate(request)


def moment(value: datetime | None) -> str:
    """Return a time to the second."""
    return "" if value is None else f"{value:%Y-%m-%d %H:%M:%S}"


def took(began: datetime | None, ended: datetime | None) -> str:
    """Return how long something took."""
    return duration(ended - began if began and ended else None)


def as_tree(value: Any) -> SafeString:
    """Return JSON as text with its shape."""
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False))


def as_text(value: str) -> SafeString:
    """Return text of several lines as it is."""
    return format_html("<pre>{}</pre>", value)


def act(
    request: HttpRequest,
    rows: QuerySet[Any],
    words: tuple[str, str, str],
    change_of: Callable[[tuple[uuid.UUID, ...]], Change],
) -> HttpResponse | None:
    """Ask before a change of the rows chosen, then make it.

    Args:
        request: the action's; it comes a second time, confirmed.
        rows: what was chosen.
        words: the action's name, what it does in words (`Retry`), and to what (`jobs`).
        change_of: returns the change of rows with these ids.

    Returns:
        The page that asks; None when the change is made.
    """
    name, verb, things = words
    ids: Sequence[uuid.UUID] = list(rows.order_by().values_list("pk", flat=True)[: MOST + 1])
    if len(ids) > MOST:
        messages.error(
            request,
            f"More than {MOST:,} {things} were chosen, nothing was changed. For so many use the dashboard or "
            "manage.py jobs, which take a filter.",
        )
        return None
    change = change_of(tuple(ids))
    if request.POST.get("confirmed"):
        result = change(dry_run=False)
        level = messages.SUCCESS if result.changed else messages.WARNING
        messages.add_message(request, level, f"{verb}: {result.changed:,} of {len(ids):,} {things} chosen.")
        for refusal in result.refused:
            messages.error(request, f"{refusal.id}: {refusal.why}")
        return None
    context = {
        **admin.site.each_context(request),
        "title": f"{verb} {things}?",
        "action": name,
        "verb": verb,
        "things": things,
        "chosen": len(ids),
        "matched": change(dry_run=True).matched,
        "ids": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "across": request.POST.get("select_across", "0"),
    }
    return TemplateResponse(request, "admin/jobs/confirm.html", context)


def user_name(request: HttpRequest) -> str:
    """Return who asks, for the record of operator actions."""
    return str(request.user.get_username())


class Choices(admin.SimpleListFilter):
    """A filter whose values are known without reading the whole table."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class Lately(admin.SimpleListFilter):
    """How long ago."""

    title = "when"
    parameter_name = "since"
    field = "created_at"

    _HOURS = {"1h": ("Last hour", 1), "1d": ("Last day", 24), "1w": ("Last week", 7 * 24)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, words) for key, (words, _) in self._HOURS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in self._HOURS:
            return queryset
        hours = self._HOURS[str(self.value())][1]
        return queryset.filter(**{f"{self.field}__gte": timezone.now() - timedelta(hours=hours)})
