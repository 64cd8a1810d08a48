"""The tasks known here. Servers and workers import them at their start, other processes when they are first asked."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from celery import current_app


def registered() -> Mapping[str, Any]:
    """Return every task by its name, those of all apps' `tasks` modules included."""
    _import_once()
    tasks: Mapping[str, Any] = current_app.tasks
    return tasks


@cache
def _import_once() -> None:
    current_app.loader.import_default_modules()
