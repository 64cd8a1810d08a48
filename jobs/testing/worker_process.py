"""The process of a real worker of a test: `celery worker` with the test's databases in place of the settings' own."""

import json
import os
import sys

#: The variables that say which application, broker and databases are meant.
APP, BROKER, DATABASES = "JOBS_TESTING_APP", "JOBS_TESTING_BROKER", "JOBS_TESTING_DATABASES"


def main() -> None:
    """Become the worker."""
    from django.conf import settings  # noqa: PLC0415 (this module is imported where nothing is to be run, too)

    for alias, name in json.loads(os.environ[DATABASES]).items():
        settings.DATABASES[alias]["NAME"] = name
    settings.CELERY_BROKER_URL = os.environ[BROKER]
    from celery.bin.celery import celery  # noqa: PLC0415 (the settings come first)

    # Said here too, since Celery would rather take a variable BROKER_URL than the settings.
    celery(["--app", os.environ[APP], "--broker", os.environ[BROKER], "worker", *sys.argv[1:]])


if __name__ == "__main__":
    main()
