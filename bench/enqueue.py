"""The process that enqueues, as a web process would: `python -m bench.enqueue SIDE`, which `bench.producer` starts.

It reads orders and writes what each took, as JSON, a line each. It runs with the packages of whichever variant is
measured, so it needs none but the standard library's.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol, TypedDict, cast

from bench.marks import marks

#: Jobs enqueued before anything is measured: connections are open and code is warm.
WARM_UP = 50


class Order(TypedDict):
    """What is to be enqueued: how many jobs of which task.

    Attributes:
        rate: at how many a second; 0: as many as possible.
        at_once: in how many to a call; 0: one by one.
        fetch: whether the result of each is waited for before the next.
    """

    task: str
    jobs: int
    rate: float
    at_once: int
    fetch: bool


class Took(TypedDict):
    """What an order took.

    Attributes:
        seconds: until the broker had all.
        cpu: seconds of this process.
        waited: of each result that was waited for, the seconds since its job's body.
    """

    seconds: float
    cpu: float
    waited: list[float]


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
    _answer(_measured(side, {"task": "nothing", "jobs": WARM_UP, "rate": 0, "at_once": 0, "fetch": False}))
    for line in sys.stdin:
        _answer(_measured(side, json.loads(line)))


def _answer(took: Took) -> None:
    print(json.dumps(took), flush=True)


def _measured(side: Side, order: Order) -> Took:
    began, cpu = time.monotonic(), time.process_time()
    waited: list[float] = []
    if order["fetch"]:
        waited = list(_fetched(side.sender(order["task"]), order["jobs"]))
    elif order["at_once"]:
        _enqueue_many(side.bulk_sender(order["task"]), order["jobs"], order["at_once"])
    else:
        _enqueue(side.sender(order["task"]), order["jobs"], order["rate"])
    side.settle()
    return {"seconds": time.monotonic() - began, "cpu": time.process_time() - cpu, "waited": waited}


def _enqueue(send: Callable[[int], object], jobs: int, rate: float) -> None:
    start = time.monotonic()
    for number in range(jobs):
        if rate:
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
        marks().called(number)
        send(number)


def _enqueue_many(send: Callable[[Sequence[int]], object], jobs: int, at_once: int) -> None:
    for first in range(0, jobs, at_once):
        send(range(first, min(first + at_once, jobs)))


def _fetched(send: Callable[[int], Any], jobs: int) -> Iterator[float]:
    for number in range(jobs):
        send(number).get(timeout=30)
        yield time.monotonic() - marks().ran_at(number)


if __name__ == "__main__":
    main()
