"""Posts in the admin: to look at. They are changed on their own pages, where the services do the work."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from posts.models import Post


@admin.register(Post)
class PostAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's own is no generic class when it runs.
    """A list to search; a deletion here would leave the images to the weekly sweep."""

    list_display = ("title", "author", "published_at", "changed_at")
    list_select_related = ("author",)
    list_filter = ("published_at",)
    search_fields = ("title", "author__email")
    date_hierarchy = "created_at"
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
