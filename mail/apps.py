"""Tells Django about the app."""

from django.apps import AppConfig

from mail import custom, letters


class MailConfig(AppConfig):
    """Transactional email."""

    name = "mail"

    def ready(self) -> None:
        """Register the letters that need no other app."""
        letters.register("custom", custom.write)
