"""Forking a pool child while another thread works is safe only between that thread's steps.

The worker's parent process forks a new child whenever one dies. The child inherits whatever locks and
connections the housekeeping threads hold at that moment; so forks wait until they hold none.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: A fork waits no longer than this, in seconds: a broker or database that hangs must not keep a pool from refilling.
LONGEST_WAIT = 5.0

#: Each thread that ever held off forks has a lock of its own, so that none waits for another.
_locks: list[threading.Lock] = []
_own = threading.local()


@contextmanager
def held_off() -> Iterator[None]:
    """Keep this process from forking meanwhile."""
    if not hasattr(_own, "lock"):
        _own.lock = threading.Lock()
        _locks.append(_own.lock)
    with _own.lock:
        yield


def _before() -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    _own.by_fork = [lock for lock in list(_locks) if lock.acquire(timeout=max(0.0, deadline - time.monotonic()))]


def _after_in_parent() -> None:
    for lock in _own.by_fork:
        lock.release()


def _after_in_child() -> None:
    # The parent's locks mean nothing here.
    _locks.clear()
    _own.__dict__.clear()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
