"""Tells Django about the app."""

from typing import Any

from celery.signals import worker_init
from django.apps import AppConfig

from storage.conf import STORE_NAMES, is_configured


class StorageConfig(AppConfig):
    """Objects in S3-compatible stores."""

    name = "storage"

    def ready(self) -> None:
        """Register the system checks."""
        from storage import checks  # noqa: F401, PLC0415 (importing it registers them; apps must be loaded first)

        worker_init.connect(_load_client)


def _load_client(**_: Any) -> None:
    """Load boto3 where there is a store before a worker's pool forks: once, and not in each of its processes."""
    if any(map(is_configured, STORE_NAMES)):
        import boto3  # noqa: F401, PLC0415
