"""Tells Django about the app, `mail` about its letters, and the engine about what goes in time."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users."""

    name = "accounts"

    def ready(self) -> None:
        """Register what this app writes, and what of its rows is deleted in time."""
        from accounts import cleanup, letters, search  # noqa: PLC0415  Models are not loaded before.

        letters.register()
        cleanup.register()
        search.register()
