"""The enqueuer: a process like a site's web process. `python -m tests.chaos.enqueue SEED NAME SECONDS`."""

import os
import random
import sys
import time

import django

from tests.chaos.journal import JOURNAL, write
from tests.chaos.plan import Call, Transaction, transactions


class RolledBack(Exception):
    """Raised to roll a transaction back, as an error in a view does."""


def main(seed: int, name: str, seconds: float, rate: float) -> None:
    """Enqueue for so many seconds, about `rate` transactions in each."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    end = time.monotonic() + seconds
    rng = random.Random(f"{seed}:{name}:pace")  # noqa: S311 (a plan that can be repeated)
    for transaction in transactions(seed, name):
        if time.monotonic() > end:
            break
        _perform(transaction)
        time.sleep(rng.expovariate(rate))


def _perform(planned: Transaction) -> None:
    from django.db import Error, connection, transaction  # noqa: PLC0415 (Django is set up by then)

    labels = [label for call in planned.calls for label in call.labels]
    for call in planned.calls:
        for index, label in enumerate(call.labels):
            write(JOURNAL, label, "plan", _kind(call, index))
    try:
        with transaction.atomic():
            for call in planned.calls:
                _enqueue(call)
            if not planned.commit:
                raise RolledBack
    except RolledBack:
        end = "rolledback"
    except Error:
        # The answer to the commit may be what was lost: nobody knows whether it happened.
        connection.close()
        return
    else:
        end = "committed"
    for label in labels:
        write(JOURNAL, label, end)


def _kind(call: Call, index: int) -> str:
    """Return what the account must know of a job: that it is doomed, or which link of a chain comes before it."""
    if call.kind == "chain" and index:
        return f"chain:{call.labels[index - 1]}"
    return "poison" if call.kind == "deadly" and call.amount > 50 else call.kind


def _enqueue(call: Call) -> None:
    from celery import chain  # noqa: PLC0415

    from tests.chaos import tasks  # noqa: PLC0415

    (label, *others) = call.labels
    match call.kind:
        case "quick" | "short" | "slow":
            tasks.work.delay(label, call.amount)
        case "flaky":
            tasks.flaky.delay(label, int(call.amount))
        case "broken":
            tasks.broken.delay(label)
        case "deadly":
            tasks.deadly.delay(label, int(call.amount))
        case "chain":
            chain(tasks.link.s(None, label), *(tasks.link.s(other) for other in others)).apply_async()
        case "bulk":
            tasks.work.delay_many([(one, 0.0) for one in call.labels])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
