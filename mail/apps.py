"""Tells Django about the app."""

from typing import Any

from celery.signals import worker_init
from django.apps import AppConfig
from django.conf import settings

from mail import custom, messages


class MailConfig(AppConfig):
    """Transactional email."""

    name = "mail"

    def ready(self) -> None:
        """Register the messages that need no other app, the system checks, and what is cleaned."""
        # Importing checks registers them; apps come first.
        from jobs import register_alert_channel  # noqa: PLC0415
        from mail import alerts, checks, cleanup  # noqa: F401, PLC0415

        messages.register("custom", custom.write)
        cleanup.register()
        register_alert_channel("mail", alerts.send_alert)
        worker_init.connect(_load_client)


def _load_client(**_: Any) -> None:
    """Load boto3 where it sends before a worker's pool forks: once, and not in each of its processes."""
    if settings.MAIL_EXECUTOR == "ses":
        import boto3  # noqa: F401, PLC0415 (most processes never need it)
