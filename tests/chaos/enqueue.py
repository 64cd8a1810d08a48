"""The enqueuer: a process like a site's web process. `python -m tests.chaos.enqueue SEED NAME SECONDS`."""

import os
import random
import sys
import time

import django

from tests.chaos.account import DOOMED
from tests.chaos.journal import JOURNAL, write
from tests.chaos.plan import Call, Transaction, transactions

#: More deaths than these no job may cause (`JOBS_MAX_WORKER_LOSSES`).
MAX_DEATHS = 7


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
    """Return what the account must know of a job: its kind, with a limit's key, or what must end how before it."""
    match call.kind if index else "":
        case "chain":
            return f"succeeded:{call.labels[index - 1]}"
        case "linked":
            return f"succeeded:{call.labels[0]}"
        case "mourned":
            return f"dead:{call.labels[0]}"
        case "chord" if index == len(call.labels) - 1:
            return f"succeeded:{','.join(call.labels[:-1])}"
    if call.kind in {"slotted", "paced"}:
        return f"{call.kind}.{call.amount:g}"
    is_doomed = call.kind in {"broken", "mourned"} or (call.kind == "deadly" and call.amount > MAX_DEATHS)
    return DOOMED if is_doomed else call.kind


def _enqueue(call: Call) -> None:
    from tests.chaos import tasks  # noqa: PLC0415 (Django is set up by then)

    label = call.labels[0]
    match call.kind:
        case "quick" | "short" | "slow":
            tasks.work.delay(label, call.amount)
        case "flaky" | "deadly" | "untidy":
            getattr(tasks, call.kind).delay(label, int(call.amount))
        case "broken" | "written" | "stepped" | "absorbed" | "needy" | "journey":
            getattr(tasks, call.kind).delay(label)
        case _:
            _enqueue_some(call)


def _enqueue_some(call: Call) -> None:
    from tests.chaos import tasks  # noqa: PLC0415 (Django is set up by then)

    key = f"{call.amount:g}"
    match call.kind:
        case "bulk":
            tasks.work.delay_many([(one, 0.0) for one in call.labels])
        case "slotted":
            tasks.slotted.delay_many([(one, key, 0.1, "") for one in call.labels])
        case "paced":
            tasks.paced.delay_many([(one, key) for one in call.labels])
        case "shared":
            # The first of each call beside the many of another tenant.
            tasks.shared.delay_many([(one, str(min(place, 1)), 0.05, "") for place, one in enumerate(call.labels)])
        case _:
            _compose(call)


def _compose(call: Call) -> None:
    from celery import chain, chord  # noqa: PLC0415 (Django is set up by then)

    from tests.chaos import tasks  # noqa: PLC0415

    (first, *others) = call.labels
    match call.kind:
        case "chain":
            chain(tasks.link.s(None, first), *(tasks.link.s(other) for other in others)).apply_async()
        case "linked":
            tasks.link.apply_async((None, first), link=[tasks.link.s(other) for other in others])
        case "mourned":
            mourners = [tasks.mourner.si(other) for other in others]
            # Dead by an error, or by killing its process.
            doomed = tasks.deadly.s(first, int(call.amount)) if call.amount else tasks.broken.s(first)
            doomed.apply_async(link_error=mourners)
        case "chord":
            (*members, body) = call.labels
            header = [tasks.member.s(member, int(call.amount)) for member in members]
            chord(header)(tasks.gathered.s(body, members))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
