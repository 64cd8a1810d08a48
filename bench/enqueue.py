"""The process that enqueues: `python -m bench.enqueue`, started by a round. Prints what it measured as JSON."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import django

from bench.marks import marks

#: Jobs enqueued before the clock starts: connections are open and code is warm, as in a web process.
WARM_UP = 50


def main() -> None:
    """Enqueue and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--app", required=True)
    parser.add_argument("--task", required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0, help="jobs/s; 0: as many as possible")
    arguments = parser.parse_args()

    django.setup()
    import_module(arguments.app)
    task = import_module(arguments.task).nothing
    settle = _settle if hasattr(task, "delay_many") else lambda: None
    first = arguments.jobs
    for number in range(first, first + WARM_UP):
        task.delay(number)
    settle()
    json.dump(_measured(lambda: _enqueue(task, arguments.jobs, arguments.rate), settle), sys.stdout)


def _settle() -> None:
    """Wait until the broker has everything."""
    from jobs.enqueue.dispatcher import flush  # noqa: PLC0415 (plain Celery's process must not load the engine)

    flush(timeout=120)


def _measured(act: Callable[[], None], settle: Callable[[], None]) -> dict[str, float]:
    began, cpu = time.monotonic(), time.process_time()
    act()
    returned = time.monotonic()
    settle()
    return {
        "called": returned - began,
        "seconds": time.monotonic() - began,
        "cpu": time.process_time() - cpu,
    }


def _enqueue(task: Any, jobs: int, rate: float) -> None:
    start = time.monotonic()
    for number in range(jobs):
        if rate:
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
        marks().called(number)
        task.delay(number)


if __name__ == "__main__":
    main()
