"""The process that enqueues, as a web process would: `python -m bench.enqueue SIDE`, which `bench.producer` starts.

It reads orders and writes what each took, as JSON, a line each. It runs with the packages of whichever variant is
measured, so it needs none but the standard library's.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol, TypedDict, cast

from bench.marks import marks

#: Jobs enqueued before anything is measured: connections are open and code is warm.
WARM_UP = 50

#: Jobs in one call of a bulk.
BULK = 1000


class Order(TypedDict):
    """What is to be enqueued: how many jobs of which task, at how many a second (0: as many as possible)."""

    task: str
    jobs: int
    rate: float
    bulk: bool


class Took(TypedDict):
    """Seconds until the broker had all, and CPU seconds of this process."""

    seconds: float
    cpu: float


class Side(Protocol):
    """What a variant's module has besides its tasks."""

    def sender(self, task: str) -> Callable[[int], object]:
        """Return what enqueues one call of the task, with a number."""

    def bulk_sender(self, task: str) -> Callable[[Sequence[int]], object]:
        """Return what enqueues a call for each number; only where the variant can do that."""

    def settle(self) -> None:
        """Wait until the broker has everything."""


def main() -> None:
    """Warm up, then do what each line says, until there is none."""
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        import django  # noqa: PLC0415 (others have none)

        django.setup()
    side = cast("Side", import_module(sys.argv[1]))
    _answer(_measured(side, {"task": "nothing", "jobs": WARM_UP, "rate": 0, "bulk": False}))
    for line in sys.stdin:
        _answer(_measured(side, json.loads(line)))


def _answer(took: Took) -> None:
    print(json.dumps(took), flush=True)


def _measured(side: Side, order: Order) -> Took:
    began, cpu = time.monotonic(), time.process_time()
    if order["bulk"]:
        _enqueue_many(side.bulk_sender(order["task"]), order["jobs"])
    else:
        _enqueue(side.sender(order["task"]), order["jobs"], order["rate"])
    side.settle()
    return {"seconds": time.monotonic() - began, "cpu": time.process_time() - cpu}


def _enqueue(send: Callable[[int], object], jobs: int, rate: float) -> None:
    start = time.monotonic()
    for number in range(jobs):
        if rate:
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
        marks().called(number)
        send(number)


def _enqueue_many(send: Callable[[Sequence[int]], object], jobs: int) -> None:
    for first in range(0, jobs, BULK):
        send(range(first, min(first + BULK, jobs)))


if __name__ == "__main__":
    main()
