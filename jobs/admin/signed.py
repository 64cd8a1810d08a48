"""Addresses that are told something: a new secret is shown once, and a test is sent where one is asked for."""

import uuid
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.cache import never_cache


class SignedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own is no generic class when it runs.
    """What such addresses have in common. `save_model` sets `request.made_secret` where it has made one."""

    sortable_by = ()
    actions = None
    change_form_template = "admin/jobs/with_test.html"
    #: Shows a receiver how to verify.
    document = ""

    def send_test(self, request: HttpRequest, obj: Any) -> uuid.UUID:
        """Have a test sent. Returns the id of the job that does."""
        raise NotImplementedError

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only who may change one sees it: the form, without which nothing hides its URL, is theirs."""
        return self.has_change_permission(request, obj)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Send a test where one is asked for, and show a new secret this once."""
        return self._after(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Send a test where one is asked for, and show a new secret this once."""
        return self._after(request, obj) or super().response_change(request, obj)

    def _after(self, request: HttpRequest, obj: Any) -> HttpResponse | None:
        wants_test = "_test" in request.POST
        if wants_test:
            page = reverse("jobs:job", args=[self.send_test(request, obj)])
            messages.success(request, format_html('A test is on its way: <a href="{}">its job</a>.', page))
        back = reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])  # noqa: SLF001
        if request.made_secret:  # type: ignore[attr-defined]
            context = {
                **admin.site.each_context(request),
                "title": "The secret",
                "target": obj,
                "back": back,
                "document": self.document,
            }
            return never_cache(lambda _: TemplateResponse(request, "admin/jobs/secret.html", context))(request)
        return HttpResponseRedirect(back) if wants_test else None
