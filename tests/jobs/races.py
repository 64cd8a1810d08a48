"""Threads that begin at the same moment, each with its own database connection."""

import threading
from collections.abc import Callable

from django.db import connection


def at_once(act: Callable[[int], None], threads: int) -> None:
    """Run `act(number)` in so many threads at once; raise the first error any of them met."""
    barrier = threading.Barrier(threads)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            act(number)
        except BaseException as exc:  # noqa: BLE001 (raised in the test's thread below)
            errors.append(exc)
            barrier.abort()
        finally:
            connection.close()

    workers = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]
