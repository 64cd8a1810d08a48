"""The app's configuration."""

from django.apps import AppConfig


class TasksAppConfig(AppConfig):
    """Tasks that fail, hang and die on request."""

    name = "tests.tasks_app"
    label = "tasks_app"

    def ready(self) -> None:
        """Have the worker know the tasks that stand in no module named `tasks`."""
        from tests.tasks_app import canvas, django_tasks, hostile, sealed, shop  # noqa: F401, PLC0415 (apps must be ready)
