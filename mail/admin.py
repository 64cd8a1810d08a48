"""Mailings in the admin: who got them, and who wants no more."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from mail.models import Recipient, Unsubscription


@admin.register(Recipient)
class RecipientAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own is no generic class when it runs.
    """A list to search by a job's id or an address; only jobs write it."""

    list_display = ("address", "outcome", "reason", "job_id", "at")
    list_filter = ("outcome",)
    search_fields = ("=job_id", "address")
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A mail that is forgotten would be sent again.
        return False


@admin.register(Unsubscription)
class UnsubscriptionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # As above.
    """Who is deleted here gets mailings again."""

    list_display = ("address", "at")
    search_fields = ("address",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
