"""The Celery application: `celery -A project worker`."""

import os
import sys
from pathlib import Path

from celery import Celery
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from jobs.celery import install

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("nightshift")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
install(app)


def _read_settings() -> None:
    """End with one line where they cannot be used: Celery's commands would print a hundred around it."""
    try:
        # Who reads one reads all.
        _ = settings.DEBUG
    except ImproperlyConfigured as exc:
        sys.exit(str(exc))


# `celery`, or `python -m celery`.
if "celery" in (Path(sys.argv[0]).name, Path(sys.argv[0]).parent.name):
    _read_settings()
