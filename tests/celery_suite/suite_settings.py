"""The project's settings, for an application whose tasks are Celery's own test tasks."""

from project.settings import *  # noqa: F403

CELERY_IMPORTS = ("t.integration.tasks",)
CELERY_TASK_DEFAULT_QUEUE = "celery"
# Many of the tests are skipped where this is the address of no Redis; whose it is, `suite_app` says.
CELERY_RESULT_BACKEND = "redis://ledger"
# As in Celery's own configuration of these tests.
CELERY_RESULT_EXTENDED = True
