"""The Django app of the job engine."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """The engine; it knows no other app of the project."""

    name = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        """Register the system checks."""
        from jobs import checks  # noqa: F401, PLC0415 (importing it registers them; apps must be loaded first)
