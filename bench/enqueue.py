"""The process that enqueues: `python -m bench.enqueue`, started by a scenario. Prints what it measured as JSON.

It runs with the packages of whichever variant is measured, so it needs none but the standard library's.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol, cast

from bench.marks import marks

#: Jobs enqueued before the clock starts: connections are open and code is warm, as in a web process.
WARM_UP = 50

#: Jobs in one call of a bulk.
BULK = 1000


class Side(Protocol):
    """What a variant's module has besides its tasks."""

    def sender(self, task: str) -> Callable[[int], object]:
        """Return what enqueues one call of the task, with a number."""

    def bulk_sender(self, task: str) -> Callable[[Sequence[int]], object]:
        """Return what enqueues a call for each number; only where the variant can do that."""

    def settle(self) -> None:
        """Wait until the broker has everything."""


def main() -> None:
    """Enqueue and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--app", required=True)
    parser.add_argument("--side", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0, help="jobs/s; 0: as many as possible")
    parser.add_argument("--bulk", action="store_true")
    arguments = parser.parse_args()

    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        import django  # noqa: PLC0415 (others have none)

        django.setup()
    import_module(arguments.app)
    side = cast("Side", import_module(arguments.side))
    _warm_up(side, arguments.jobs)
    if arguments.bulk:
        send = side.bulk_sender(arguments.task)
        took = _measured(lambda: _enqueue_many(send, arguments.jobs), side.settle)
    else:
        one = side.sender(arguments.task)
        took = _measured(lambda: _enqueue(one, arguments.jobs, arguments.rate), side.settle)
    json.dump(took, sys.stdout)


def _warm_up(side: Side, first: int) -> None:
    send = side.sender("nothing")
    for number in range(first, first + WARM_UP):
        send(number)
    side.settle()


def _measured(act: Callable[[], None], settle: Callable[[], None]) -> dict[str, float]:
    began, cpu = time.monotonic(), time.process_time()
    act()
    settle()
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
