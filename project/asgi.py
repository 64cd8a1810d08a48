"""The ASGI entry point, `project.asgi:application`; `python -m project.web` serves it."""

import importlib
import os

from django.conf import settings
from django.core.asgi import get_asgi_application

from jobs.observability.asgi import correlated_requests
from jobs.tasks.registry import registered

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
_django = get_asgi_application()

from project import templates  # noqa: E402  They need the settings and the apps.
from project.web.bodies import bounded_bodies  # noqa: E402

application = correlated_requests(bounded_bodies(_django, most_bytes=settings.REQUEST_MAX_BYTES))
# Now, and not within the first request.
registered()
importlib.import_module(settings.ROOT_URLCONF)
if settings.DEBUG:
    # Whoever is changing a template need not see half of it: `make up` starts a new process for a whole one.
    templates.load_all()
