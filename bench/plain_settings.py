"""Plain Celery's Django settings: as many apps of Django's own as the project has, and no engine.

Nothing of the project is imported: it would bring the engine's own transport for Redis with it.
"""

import os

SECRET_KEY = "nothing here is worth protecting"  # noqa: S105
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_beat",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

CELERY_BROKER_URL = os.environ["BROKER_URL"]
# As ours: what no settings say takes longer to find.
CELERY_TASK_ALWAYS_EAGER = False
# What became of a task can be asked for: the nearest plain Celery comes to a row of the ledger.
CELERY_RESULT_BACKEND = CELERY_BROKER_URL if os.environ.get("BENCH_RESULTS") == "1" else None
CELERY_TASK_ACKS_LATE = os.environ.get("BENCH_ACKS_LATE") == "1"
