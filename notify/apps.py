"""Tells Django about the app."""

from django.apps import AppConfig


class NotifyConfig(AppConfig):
    """Messages by Telegram."""

    name = "notify"

    def ready(self) -> None:
        """Register the system checks."""
        from notify import checks  # noqa: F401, PLC0415 (importing it registers them; apps must be loaded first)
