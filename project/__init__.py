"""The Django project: settings, the Celery application, URLs and the ASGI entry point."""

from project.celery import app as celery_app

__all__ = ["celery_app"]
