"""The ASGI entry point: `uvicorn project.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

from jobs.observability.asgi import correlated_requests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = correlated_requests(get_asgi_application())
