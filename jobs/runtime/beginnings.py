"""Which of the jobs that a worker's parent process has claimed were begun, in memory that all its processes share.

A process of the pool may die before its parent reads that it has begun a job. Celery then gives the job to another
process, which must not begin it a second time: the ledger counts one attempt.
"""

import itertools
import mmap

#: Marks in use at a time are those of the few jobs on their way to the pool; they are taken in turn.
_MARKS = 1 << 16

_marks = mmap.mmap(-1, _MARKS)
_next = itertools.count()


def unbegun() -> int:
    """Return a mark for a job that nobody has begun. Called by the parent process."""
    mark = next(_next) % _MARKS
    _marks[mark] = 0
    return mark


def begin(mark: int) -> bool:
    """Note that the job is begun. Returns false where another process had begun it before."""
    if _marks[mark]:
        return False
    _marks[mark] = 1
    return True
