"""Who is told what is wrong: targets of alerts, with a test; and what was wrong."""

import uuid
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import HttpRequest

from jobs.admin.base import LedgerAdmin, user_name
from jobs.admin.signed import SignedAdmin
from jobs.alerts.tasks import send_test
from jobs.models import AlertTarget, Incident
from jobs.operations.bulk import record
from jobs.webhooks.destinations import check_url, shown_address as webhook_address
from jobs.webhooks.errors import WebhookError
from jobs.webhooks.signing import new_secret


class TargetForm(forms.ModelForm):  # type: ignore[type-arg]
    """Asks who is to be told, and how. A URL is not shown again: Slack's holds a secret."""

    new_secret = forms.BooleanField(
        required=False,
        label="Make a new secret",
        help_text="Of a signed webhook: shown once; what is signed by the old one is refused from then on.",
    )

    class Meta:
        """What a person says of a target."""

        model = AlertTarget
        fields = ("name", "kind", "address", "enabled", "quiet_from", "quiet_until")
        widgets = {"address": forms.TextInput(attrs={"class": "vLargeTextField", "autocomplete": "off"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.address_before = ""
        self.fields["address"].help_text = "An email address, or the webhook's URL."
        hours = "In CRON_TIMEZONE. Nobody is told meanwhile; what was held back is told then, once."
        self.fields["quiet_until"].help_text = hours
        if self.instance.pk is not None and self.instance.kind != AlertTarget.Kind.MAIL:
            self.address_before = self.instance.address
            self.initial["address"] = ""
            self.fields["address"].required = False
            self.fields[
                "address"
            ].help_text = f"It is at {shown_address(self.instance)} and stays there if this is left empty."

    def clean(self) -> dict[str, Any]:
        """Check the address by its kind, and that quiet hours have both ends."""
        given: dict[str, Any] = super().clean() or {}
        if (given.get("quiet_from") is None) != (given.get("quiet_until") is None):
            self.add_error("quiet_until", "Quiet hours have a beginning and an end; say both or neither.")
        if "address" in given and "kind" in given:
            given["address"] = given["address"] or self.address_before
            self._check_address(given["kind"], given["address"])
        return given

    def _check_address(self, kind: str, address: str) -> None:
        try:
            if kind == AlertTarget.Kind.MAIL:
                validate_email(address)
            else:
                check_url(address)
        except (ValidationError, WebhookError) as exc:
            self.add_error("address", exc.messages[0] if isinstance(exc, ValidationError) else str(exc))


@admin.register(AlertTarget)
class AlertTargetAdmin(SignedAdmin):
    """Who is told what is wrong."""

    form = TargetForm
    list_display = ("name", "kind", "where", "enabled", "quiet_from", "quiet_until")
    document = "docs/alerts.md"

    def get_fields(self, request: HttpRequest, obj: AlertTarget | None = None) -> Any:
        fields = ["name", "kind", "address", "enabled", "quiet_from", "quiet_until"]
        return [*fields, "new_secret"] if obj is not None and obj.kind == AlertTarget.Kind.WEBHOOK else fields

    @admin.display(description="address")
    def where(self, target: AlertTarget) -> str:
        """Where it is, as it may be shown."""
        return shown_address(target)

    def save_model(self, request: HttpRequest, obj: AlertTarget, form: Any, change: bool) -> None:
        """Save it; a signed webhook has a secret."""
        signs = obj.kind == AlertTarget.Kind.WEBHOOK
        request.made_secret = signs and (not (change and obj.secret) or form.cleaned_data.get("new_secret"))  # type: ignore[attr-defined]
        if request.made_secret:  # type: ignore[attr-defined]
            obj.secret = new_secret()
        super().save_model(request, obj, form, change)
        record("change alerts" if change else "add alerts", user_name(request), {"target": obj.name}, 1)

    def delete_model(self, request: HttpRequest, obj: AlertTarget) -> None:
        """Delete it; what it was told is forgotten as well."""
        record("delete alerts", user_name(request), {"target": obj.name}, 1)
        super().delete_model(request, obj)

    def send_test(self, request: HttpRequest, obj: AlertTarget) -> uuid.UUID:
        return uuid.UUID(send_test.delay(obj.pk).id)


def shown_address(target: AlertTarget) -> str:
    """Return where a target is: of a URL no more than its host."""
    if target.kind == AlertTarget.Kind.MAIL:
        return target.address
    return webhook_address(target.address)


@admin.register(Incident)
class IncidentAdmin(LedgerAdmin):
    """What is or was wrong, and who was told."""

    list_display = ("opened_at", "resolved_at", "text", "told")
    sortable_by = ()
    fields = ("cause", "text", "opened_at", "seen_at", "resolved_at", "told")

    @admin.display(description="told")
    def told(self, incident: Incident) -> str:
        """Who was told of it."""
        names = (
            incident.notices.filter(told_at__isnull=False).order_by("told_at").values_list("target__name", flat=True)
        )
        return ", ".join(names) or "nobody"
