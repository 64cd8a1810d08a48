"""Faults that last a while and end by themselves, beside others."""

import threading
from collections.abc import Callable

import psycopg
import redis

from tests.waiting import wait_for

#: How long the end of a fault is tried while a server is away, in seconds.
PATIENCE = 60.0

AWAY = (redis.RedisError, psycopg.Error, OSError)


class Later:
    """Ends of faults, each in a thread of its own when its time has come."""

    def __init__(self) -> None:
        self._timers: list[threading.Timer] = []

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something after so many seconds; again and again while the server it needs is away."""

        def insist() -> bool:
            act()
            return True

        timer = threading.Timer(seconds, wait_for, (insist, PATIENCE), {"passing_over": AWAY})
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def finish(self) -> None:
        """Wait until all faults have ended."""
        for timer in self._timers:
            timer.join()
        self._timers.clear()
