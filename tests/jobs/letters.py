"""Dead letters for tests, as the archiver writes them."""

import json
import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

from jobs.core.outcome import Reason
from jobs.core.states import State
from jobs.models import DeadLetter, Job
from tests.jobs.rows import in_state

NOOP = "tests.tasks_app.tasks.noop"
NOTE = "tests.tasks_app.tasks.note"


def dead_letter(minutes_ago: float = 0, **changes: Any) -> DeadLetter:
    """Write the letter of a message that has no job."""
    args, kwargs = changes.pop("args", []), changes.pop("kwargs", {})
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "task": NOOP,
        "queue": "default",
        "reason": Reason.EXHAUSTED,
        "error": "ValueError: it failed",
        "attempt": 6,
        "failed_at": timezone.now() - timedelta(minutes=minutes_ago),
        "body": json.dumps([args, kwargs, None]).encode(),
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "headers": {},
        "properties": {},
        "args": args,
        "kwargs": kwargs,
    }
    return DeadLetter.objects.create(**{**values, **changes})


def letter_of_a_dead_job(**changes: Any) -> DeadLetter:
    """Write a dead job and its letter."""
    job = in_state(State.DEAD)
    return dead_letter(job=job, task=job.task, **changes)


def job_of(letter: DeadLetter) -> Job:
    """Return the job of a letter as it is now."""
    return Job.objects.get(dead_letters=letter)
