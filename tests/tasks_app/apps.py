"""The app's configuration."""

from django.apps import AppConfig


class TasksAppConfig(AppConfig):
    """Tasks that fail, hang and die on request."""

    name = "tests.tasks_app"
    label = "tasks_app"
