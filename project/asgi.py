"""The ASGI entry point, `project.asgi:application`; `python -m project.web` serves it."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

from jobs.observability.asgi import correlated_requests
from jobs.tasks.registry import registered

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
_django = get_asgi_application()

from project.web.bodies import bounded_bodies  # noqa: E402  It needs the settings and the apps.

application = correlated_requests(bounded_bodies(_django, most_bytes=settings.REQUEST_MAX_BYTES))
# Now, and not within the first request.
registered()
