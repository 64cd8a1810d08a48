"""The Celery application: `celery -A project worker`."""

import os

from celery import Celery

from jobs.celery import install

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

app = Celery("nightshift")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
install(app)
