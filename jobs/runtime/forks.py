"""Forking a pool child while another thread works is safe only between that thread's steps.

The worker's parent process forks a new child whenever one dies. The child inherits whatever locks and
connections the housekeeping thread holds at that moment; so forks wait until it holds none.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: A fork waits no longer than this, in seconds: a broker or database that hangs must not keep a pool from refilling.
LONGEST_WAIT = 5.0

_lock = threading.Lock()
_held = threading.local()


@contextmanager
def held_off() -> Iterator[None]:
    """Keep this process from forking meanwhile."""
    with _lock:
        yield


def _before() -> None:
    _held.by_fork = _lock.acquire(timeout=LONGEST_WAIT)


def _after_in_parent() -> None:
    if _held.by_fork:
        _lock.release()


def _after_in_child() -> None:
    global _lock  # noqa: PLW0603 (the parent's lock means nothing here)
    _lock = threading.Lock()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
