"""Priorities of Django Tasks, -100 to 100 with 0 as the default, as those of jobs, 0 to 9 with 5 as the default."""

from math import ceil, floor

#: https://docs.djangoproject.com/en/6.0/ref/tasks/#django.tasks.Task.priority
MOST = 100


def ledger_priority(priority: int) -> int:
    """Return the priority of a job: what is above or below the default stays so, and no order is turned round."""
    if priority < 0:
        return 5 + floor(priority * 5 / MOST)
    return 5 + ceil(priority * 4 / MOST)
