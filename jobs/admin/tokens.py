"""Tokens of the API: made here, shown once, revoked."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache

from jobs.admin.base import LedgerAdmin, user_name
from jobs.models import ApiToken
from jobs.operations import tokens
from jobs.operations.tokens import PERMISSIONS, Scope


class TokenForm(forms.ModelForm):  # type: ignore[type-arg]
    """Asks what a new token is for."""

    scopes = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        choices=[
            (Scope.READ, "read: see jobs, queues, dead letters, schedules and workers"),
            (Scope.SUBMIT, "submit: enqueue jobs of public tasks"),
            (Scope.OPERATE, "operate: retry, cancel, replay, discard, pause, resume, run schedules"),
        ],
    )

    class Meta:
        """What a person says of a token."""

        model = ApiToken
        fields = ("name", "scopes", "expires_at")


@admin.register(ApiToken)
class ApiTokenAdmin(LedgerAdmin):
    """Who may use the API, and for what."""

    list_display = ("name", "prefix", "scopes", "created_by", "created_at", "last_used_at", "expires_at", "revoked_at")
    sortable_by = ()
    search_fields = ("name", "prefix")
    actions = ("revoke",)
    form = TokenForm
    fields = ("name", "scopes", "expires_at")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("jobs.add_apitoken")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Return whether a person may revoke tokens."""
        return request.user.has_perm("jobs.change_apitoken")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form; nobody can give away what they may not do themselves."""

        class Form(TokenForm):
            def clean_scopes(self) -> list[str]:
                given: list[str] = self.cleaned_data["scopes"]
                missing = [scope for scope in given if not request.user.has_perm(PERMISSIONS[Scope(scope)])]
                if missing:
                    raise forms.ValidationError(f"You may not give away what you may not do: {', '.join(missing)}.")
                return given

        return (
            super().get_form(request, obj, change, form=Form, **kwargs)
            if obj is None
            else super().get_form(request, obj, change, **kwargs)
        )

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        """Make the token; it is kept for the answer to this request alone."""
        row, token = tokens.create(obj.name, obj.scopes, by=user_name(request), expires_at=obj.expires_at)
        obj.pk = row.pk
        obj.prefix = row.prefix
        request.made_token = token  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:
        """Show the token, this once."""
        context = {
            **admin.site.each_context(request),
            "title": "The new token",
            "row": obj,
            "token": request.made_token,  # type: ignore[attr-defined]
        }
        return never_cache(lambda _: TemplateResponse(request, "admin/jobs/token.html", context))(request)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """Let the tokens chosen open nothing any more."""
        for row in queryset:
            tokens.revoke(row, by=user_name(request))
            messages.success(request, f"Token {row.name} opens nothing any more.")
