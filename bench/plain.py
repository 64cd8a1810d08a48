"""The other side: the same task in a Django project with Celery as its guide sets it up; no database is touched."""

import json
import os

from celery import Celery, shared_task

from bench.marks import marks

app = Celery("plain")
app.config_from_object("django.conf:settings", namespace="CELERY")

#: Settings that make one thing equal to ours, as JSON.
app.conf.update(json.loads(os.environ.get("BENCH_CELERY", "{}")))


@shared_task  # type: ignore[untyped-decorator]
def nothing(number: int) -> None:
    """Leave a mark, do nothing."""
    marks().ran(number)
