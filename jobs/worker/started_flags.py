"""Which of a worker's deliveries were begun, and whose bodies have ended, in memory that all its processes share.

A process of the pool may die before its parent reads that it has begun a job. Celery then gives the job to another
process, which must not begin it a second time: the ledger counts one attempt. And it may take some time to record what
became of a job whose body has ended within its time limit.
"""

import contextlib
import itertools
import mmap
from collections.abc import Iterator
from typing import Any

from jobs.core.delivery import OWN
from jobs.worker.database import PATIENCE_AFTER

#: In a request: its mark.
MARK = OWN + "mark"

#: Whose body has ended in time has so many seconds more to record what became of it: the database may be away.
RECORDED_WITHIN = 2 * PATIENCE_AFTER + 2.0

#: Marks in use at a time are those of the deliveries that a worker holds; they are taken in turn.
_MARKS = 1 << 16

_UNBEGUN, _BEGUN, _ENDED = range(3)

_marks = mmap.mmap(-1, _MARKS)
_next = itertools.count()


def unbegun() -> int:
    """Return a mark for a delivery that nobody has begun. Called by the parent process."""
    mark = next(_next) % _MARKS
    _marks[mark] = _UNBEGUN
    return mark


def begin(mark: int) -> bool:
    """Note that the job is begun. Returns false where another process had begun it before."""
    if _marks[mark]:
        return False
    _marks[mark] = _BEGUN
    return True


@contextlib.contextmanager
def of_body(request: Any) -> Iterator[None]:
    """Note that a body begins, and that it ends; `request` is Celery's context of it."""
    mark = request.get(MARK)
    if mark is None:
        yield
        return
    _marks[mark] = _BEGUN
    try:
        yield
    finally:
        _marks[mark] = _ENDED


def has_begun(mark: int) -> bool:
    """Return whether the body has begun."""
    return _marks[mark] != _UNBEGUN


def has_ended(mark: int) -> bool:
    """Return whether the body has ended."""
    return _marks[mark] == _ENDED
