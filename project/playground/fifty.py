"""Fifty jobs of every kind, in one transaction."""

from celery import chord
from django.db import transaction

from jobs.operations.bulk import record
from project.playground import tasks

#: How many of each there are; with the chord's six members and its body, and the journey, they are fifty.
SUCCEED, FAIL, RETRY, LIMITED, SERVICE, MEMBERS = 20, 5, 5, 6, 6, 6


def enqueue(actor: str, *, station_seconds: float = 2.0) -> int:
    """Enqueue them, and record who did. Returns how many they will be."""
    with transaction.atomic():
        many = (
            (tasks.succeed, SUCCEED),
            (tasks.fail, FAIL),
            (tasks.retry, RETRY),
            (tasks.limited, LIMITED),
            (tasks.call_service, SERVICE),
        )
        for task, number in many:
            task.delay_many([{"number": index} for index in range(1, number + 1)])
        chord([tasks.count.s(number) for number in range(1, MEMBERS + 1)])(tasks.total.s())
        # The first to begin, so that there is something to lose when a worker is killed next.
        tasks.travel.apply_async(kwargs={"seconds": station_seconds}, priority=9)
        numbered = sum(number for _, number in many) + MEMBERS + 2
        record("playground", actor, {"task": "playground"}, numbered)
    return numbered
