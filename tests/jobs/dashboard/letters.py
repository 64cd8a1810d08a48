"""Dead letters for the dashboard's tests."""

import uuid
from typing import Any

from django.utils import timezone

from jobs.core.states import State
from jobs.models import DeadLetter
from tests.jobs.rows import in_state


def letter(**changes: Any) -> DeadLetter:
    """Return the letter of a job that gave up."""
    job = None if "job" in changes else in_state(State.DEAD)
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "job": job,
        "task": "tests.tasks_app.tasks.note",
        "queue": "default",
        "reason": "exhausted",
        "error": "Broken: it never works",
        "attempt": 6,
        "failed_at": timezone.now(),
        "body": b"[[], {}, {}]",
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "headers": {"task": "tests.tasks_app.tasks.note"},
        "properties": {},
        "args": [],
        "kwargs": {"effect": "x"},
    }
    return DeadLetter.objects.create(**{**values, **changes})
