"""Tells Django about the app."""

from django.apps import AppConfig


class StorageConfig(AppConfig):
    """Objects in S3-compatible stores."""

    name = "storage"

    def ready(self) -> None:
        """Register the system checks."""
        from storage import checks  # noqa: F401, PLC0415 (importing it registers them; apps must be loaded first)
