"""The project's settings, with the applications and URLs of the tests of the Django Tasks API."""

import os

import django

from project.settings import *  # noqa: F403
from project.settings import DATABASES, INSTALLED_APPS

# As in a project that says nothing of tasks.
del TASKS  # noqa: F821
if django.VERSION < (6, 0):
    INSTALLED_APPS += ["tests"]
    ROOT_URLCONF = "tests.urls"
SILENCED_SYSTEM_CHECKS = ["admin.E408", "admin.E409", "admin.E410"]
MIDDLEWARE = []
ALLOWED_HOSTS = ["*"]
# A file, which threads can share.
DATABASES["default"]["TEST"] = {"NAME": f"{os.environ['SUITE_DIRECTORY']}/test.sqlite3"}
