"""The other side: the same tasks in a Django project with Celery as its guide sets it up; no database is touched."""

import json
import os
from collections.abc import Callable
from typing import Any

from celery import Celery, shared_task

from bench.failing import Broken
from bench.marks import marks

app = Celery("plain")
app.config_from_object("django.conf:settings", namespace="CELERY")

#: Settings that make one thing equal to ours, as JSON.
app.conf.update(json.loads(os.environ.get("BENCH_CELERY", "{}")))


@shared_task  # type: ignore[untyped-decorator]
def nothing(number: int) -> None:
    """Leave a mark, do nothing."""
    marks().ran(number)


@shared_task(  # type: ignore[untyped-decorator]
    bind=True, autoretry_for=(Broken,), retry_kwargs={"countdown": 0, "max_retries": 5}
)
def fails_once(self: Any, number: int) -> None:
    """Fail; leave a mark when tried again."""
    if not self.request.retries:
        raise Broken("It works the second time.")
    marks().ran(number)


@shared_task  # type: ignore[untyped-decorator]
def dies(number: int) -> None:
    """Leave a mark and fail for good."""
    marks().ran(number)
    raise Broken("It never works.")


def sender(task: str) -> Callable[[int], object]:
    """Return what sends one call of the task."""
    send: Callable[[int], object] = globals()[task].delay
    return send


def settle() -> None:
    """Nothing to wait for: a call returns once its message is sent."""
