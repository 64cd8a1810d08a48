"""The Django app of the project as a whole: its management commands, and how Celery's processes log."""

import logging.config
from typing import Any

from celery.signals import setup_logging
from django.apps import AppConfig
from django.conf import settings


class ProjectConfig(AppConfig):
    """The project."""

    name = "project"

    def ready(self) -> None:
        """Register the checks, and keep Celery from putting its own way of logging in the place of ours."""
        from project import checks  # noqa: F401, PLC0415  It registers them.

        setup_logging.connect(_log_as_the_settings_say)


def _log_as_the_settings_say(**_: Any) -> None:
    logging.config.dictConfig(settings.LOGGING)
