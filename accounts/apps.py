"""Tells Django about the app, `mail` about its messages, and the engine about what goes in time."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users."""

    name = "accounts"

    def ready(self) -> None:
        """Register what this app writes, and what of its rows is deleted in time."""
        from accounts import cleanup, messages, search  # noqa: PLC0415  Models are not loaded before.

        messages.register()
        cleanup.register()
        search.register()
