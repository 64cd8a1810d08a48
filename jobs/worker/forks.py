"""Forking a pool child while another thread works is safe only between that thread's steps.

The worker's parent process forks a new child whenever one dies. The child inherits whatever locks and
connections the maintenance threads hold at that moment; so forks wait until they hold none.
"""

import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: A fork waits no longer than this, in seconds: a broker or database that hangs must not keep a pool from refilling.
LONGEST_WAIT = 5.0

#: Each thread that ever held off forks has a lock of its own, so that none waits for another. It goes with its thread:
#: threads come and go with every connection.
_locks: list["weakref.ref[threading.Lock]"] = []
_own = threading.local()


@contextmanager
def held_off() -> Iterator[None]:
    """Keep this process from forking meanwhile."""
    if not hasattr(_own, "lock"):
        _own.lock = threading.Lock()
        _locks.append(weakref.ref(_own.lock, _forget))
    with _own.lock:
        yield


def _forget(lock: "weakref.ref[threading.Lock]") -> None:
    # In a child there may be nothing left to forget.
    with suppress(ValueError):
        _locks.remove(lock)


def _before() -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    locks = [lock for reference in list(_locks) if (lock := reference()) is not None]
    _own.by_fork = [lock for lock in locks if lock.acquire(timeout=max(0.0, deadline - time.monotonic()))]


def _after_in_parent() -> None:
    for lock in _own.by_fork:
        lock.release()


def _after_in_child() -> None:
    # The parent's locks mean nothing here.
    _locks.clear()
    _own.__dict__.clear()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
