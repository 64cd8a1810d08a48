"""Enqueues deletions when told to: our way, or a job for each object. A process that `bench.storage` starts."""

import sys

import django

django.setup()

from bench.storage import keys  # noqa: E402  Tasks can be imported once the apps are loaded.
from jobs.enqueue.dispatcher import flush  # noqa: E402
from storage.tasks import delete, delete_all  # noqa: E402


def one_job_each(count: int) -> None:
    """Enqueue as a task without batches would be."""
    for key in keys(count):
        delete.delay("content", [key])


def all_at_once(count: int) -> None:
    """Enqueue as a service does."""
    delete_all("content", keys(count))


def main() -> None:
    """Open all connections, wait for the word, enqueue, and end when the broker has everything."""
    delete.delay("content", [])
    flush(timeout=30)
    print("ready", flush=True)
    sys.stdin.readline()
    {"one_job_each": one_job_each, "all_at_once": all_at_once}[sys.argv[1]](int(sys.argv[2]))
    flush(timeout=120)


if __name__ == "__main__":
    main()
