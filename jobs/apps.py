"""The Django app of the job engine."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """The engine; it knows no other app of the project."""

    name = "jobs"
    verbose_name = "Jobs"
