"""Webhooks that are told what becomes of jobs: made, changed and deleted; their deliveries have a page of their own."""

import uuid
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from jobs.admin.base import user_name
from jobs.admin.signed import SignedAdmin
from jobs.core.states import State
from jobs.errors import InvalidWebhook
from jobs.models import Webhook
from jobs.operations import webhooks
from jobs.webhooks.destinations import shown_address
from jobs.webhooks.subscriptions import STATES

#: What each of the states means to who is told of it.
_MEANINGS = {
    State.SUCCEEDED: "succeeded",
    State.DEAD: "dead: it gave up",
    State.CANCELLED: "cancelled",
    State.RETRYING: "retrying: an attempt has failed, and another follows",
}


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    """Asks what a webhook is told, and where it is. Its URL, which may hold a secret, is not shown again."""

    url = forms.CharField(
        label="URL",
        max_length=webhooks.URL_LENGTH,
        widget=forms.TextInput(attrs={"class": "vLargeTextField", "autocomplete": "off"}),
    )
    states = forms.MultipleChoiceField(
        label="Told when a job is",
        choices=[(state.value, _MEANINGS[state]) for state in STATES],
        widget=forms.CheckboxSelectMultiple,
        initial=[State.DEAD.value],
    )
    tasks = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="One name a line, in which * stands for anything, as in mail.*; empty: of all tasks. Tasks of the"
        " engine's own, which begin with jobs., are told of where they are named in full.",
    )
    new_secret = forms.BooleanField(
        required=False,
        label="Make a new secret",
        help_text="Shown once; what is signed by the old one is refused from then on.",
    )

    class Meta:
        """What a person says of a webhook."""

        model = Webhook
        fields = webhooks.FIELDS
        help_texts = {"queue": "Jobs of this queue only; empty: of all."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            return
        self.initial["tasks"] = "\n".join(self.instance.tasks)
        self.initial["url"] = ""
        self.fields["url"].required = False
        shown = shown_address(self.instance.url)
        self.fields["url"].help_text = f"It is at {shown} and stays there if this is left empty."

    def clean(self) -> dict[str, Any]:
        """Check each field as every interface does."""
        given: dict[str, Any] = super().clean() or {}
        given["tasks"] = [line for line in given.get("tasks", "").splitlines() if line.strip()]
        if self.instance.pk is not None and not given.get("url"):
            given["url"] = self.instance.url
        for name in given.keys() & set(webhooks.FIELDS):
            try:
                given.update(webhooks.checked({name: given[name]}))
            except InvalidWebhook as exc:
                self.add_error(name, ValidationError(str(exc)))
        return given


@admin.register(Webhook)
class WebhookAdmin(SignedAdmin):
    """Who is told what becomes of jobs."""

    form = WebhookForm
    list_display = ("name", "where", "told_of", "enabled", "deliveries")
    document = "docs/webhooks.md"

    def get_fields(self, request: HttpRequest, obj: Webhook | None = None) -> Any:
        return [*webhooks.FIELDS, "new_secret"] if obj is not None else webhooks.FIELDS

    @admin.display(description="address")
    def where(self, webhook: Webhook) -> str:
        """Where it is, as it may be shown."""
        return shown_address(webhook.url)

    @admin.display(description="told of")
    def told_of(self, webhook: Webhook) -> str:
        """What it is told, in words."""
        return f"{', '.join(webhook.states)} · {', '.join(webhook.tasks) or 'all tasks'}"

    @admin.display(description="deliveries")
    def deliveries(self, webhook: Webhook) -> str:
        """Leads to what it was told."""
        return format_html('<a href="{}">Deliveries</a>', reverse("jobs:webhook", args=[webhook.pk]))

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        """Save it as every interface does; a new one has a secret."""
        given = {name: form.cleaned_data[name] for name in webhooks.FIELDS}
        request.made_secret = not change or form.cleaned_data["new_secret"]  # type: ignore[attr-defined]
        if change:
            webhooks.change(obj, given, actor=user_name(request), renews_secret=form.cleaned_data["new_secret"])
            return
        made = webhooks.create(given, actor=user_name(request))
        obj.pk, obj.secret, obj.created_by = made.pk, made.secret, made.created_by
        obj._state.adding = False  # noqa: SLF001 (Django's own name for it)

    def delete_model(self, request: HttpRequest, obj: Webhook) -> None:
        """Delete it; what is known of its deliveries is forgotten as well."""
        webhooks.delete(obj, actor=user_name(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the webhook alone: its deliveries may be many, and nobody may delete them by themselves."""
        return [str(one) for one in objs], {}, set(), []

    def send_test(self, request: HttpRequest, obj: Webhook) -> uuid.UUID:
        return webhooks.send_test(obj, actor=user_name(request))
