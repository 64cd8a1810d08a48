"""Reindexes in the admin: how far they are, and a new one begun by adding it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

from jobs import EnqueueError
from search.documents import kinds
from search.models import Reindex
from search.tasks import reindex


class ReindexForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's own is no generic class when it runs.
    """Asks which index to build anew."""

    index = forms.ChoiceField(
        help_text="It is built beside the live one, which stays in use, and swapped in when it is complete."
    )

    class Meta:
        """The one field."""

        model = Reindex
        fields = ("index",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = self.fields["index"]
        assert isinstance(choices, forms.ChoiceField)  # noqa: S101 (for the type checker)
        choices.choices = [(kind.index, kind.index) for kind in kinds()]

    def validate_constraints(self) -> None:
        """Pass: adding one asks for a job, which waits or says what is in its way."""


@admin.register(Reindex)
class ReindexAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What was built anew, what is being built, and how far it is."""

    form = ReindexForm
    list_display = ("index", "progress", "started_at", "finished_at", "job")
    list_filter = ("index",)
    ordering = ("-started_at",)
    sortable_by = ()

    @admin.display(description="progress")
    def progress(self, run: Reindex) -> str:
        """How many documents of how many are in the new index."""
        total = max(run.total, run.done)
        share = f" ({100 * run.done // total} %)" if total else ""
        return f"{run.done:,} of {total:,}{share}"

    @admin.display(description="job")
    def job(self, run: Reindex) -> str:
        """The job that does it, with its page."""
        return job_link(str(run.job_id))

    def has_change_permission(self, request: HttpRequest, obj: Reindex | None = None) -> bool:
        """Nobody may: it is a record."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Reindex | None = None) -> bool:
        """Nobody may."""
        return False

    def save_model(self, request: HttpRequest, obj: Reindex, form: Any, change: bool) -> None:
        """Enqueue the job that does it."""
        try:
            job_id = reindex.delay(obj.index).id
        except EnqueueError as exc:
            messages.error(request, str(exc))
        else:
            said = "{} is built anew by job {}. It shows here once it has begun."
            messages.success(request, format_html(said, obj.index, job_link(job_id)))

    def log_addition(self, request: HttpRequest, obj: Reindex, message: Any) -> None:  # type: ignore[override]  # Nobody reads it.
        """Pass: the job is the record; the row comes when it begins."""

    def response_add(self, request: HttpRequest, obj: Reindex, post_url_continue: str | None = None) -> HttpResponse:
        """Go back to the list, which shows the progress."""
        return redirect("admin:search_reindex_changelist")


def job_link(job_id: str) -> str:
    """Return a job's id with a link to its page."""
    return format_html('<a href="{}">{}</a>', reverse("jobs:job", args=[job_id]), job_id)
