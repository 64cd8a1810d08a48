"""Tells Django about the app, and `mail` about its letters."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users."""

    name = "accounts"

    def ready(self) -> None:
        """Register what this app writes."""
        from accounts import letters  # noqa: PLC0415  Models are not loaded before.

        letters.register()
