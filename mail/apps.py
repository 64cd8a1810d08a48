"""Tells Django about the app."""

from django.apps import AppConfig


class MailConfig(AppConfig):
    """Transactional email."""

    name = "mail"

    def ready(self) -> None:
        """Register the letters that need no other app."""
        from mail import custom, letters

        letters.register("custom", custom.write)
