"""Which of a worker's jobs have begun, when, and in which process, in memory that all processes of its pool share.

A pool process may die at any moment, and its parent must know whose attempt that was. And a job that has not begun by
a certain time must be free to go elsewhere: so whoever begins one first writes that down, then looks at the clock.
Whoever looks later than that time, and finds that nobody has begun it, can be sure that nobody will.
"""

import mmap
import os
import struct
import threading
import time
from collections import deque
from enum import IntEnum

#: Jobs that a worker can hold at a time.
SLOTS = 1 << 16

#: A slot: its state, whether its job was cancelled, whether its body has asked for that; the process, and when it began
#: by the machine's monotonic clock.
_SIZE = 16
_CANCELLED, _ASKS = 1, 2
_PROCESS = struct.Struct("=Id")
_AT = 4

#: Between what a process writes and what another one reads there lies less than this, in seconds.
MARGIN = 0.05


class Began(IntEnum):
    """How far a job has come."""

    NOT = 0
    YES = 1
    ENDED = 2
    #: A process came to it too late, and left it alone.
    REFUSED = 3


class StartedFlags:
    """A slot for each job that a worker has claimed. Its parent process takes and frees them; any process uses them."""

    def __init__(self) -> None:
        #: The last byte says that the worker stops.
        self._memory = mmap.mmap(-1, SLOTS * _SIZE + 1)
        self._free = deque(range(SLOTS))
        self._lock = threading.Lock()

    def take(self) -> int:
        """Return a slot for a job that has not begun."""
        with self._lock:
            slot = self._free.popleft()
        at = slot * _SIZE
        self._memory[at] = Began.NOT
        self._memory[at + _CANCELLED] = self._memory[at + _ASKS] = 0
        return slot

    def stop(self) -> None:
        """Let no more jobs begin: the worker stops."""
        self._memory[-1] = 1

    def is_stopped(self) -> bool:
        """Return whether the worker stops."""
        return bool(self._memory[-1])

    def free(self, slot: int) -> None:
        """Note that a slot's job is no longer this worker's."""
        with self._lock:
            self._free.append(slot)

    def reset(self, slot: int) -> None:
        """Let a job that nobody has begun, and nobody may begin any more, be begun again."""
        self._memory[slot * _SIZE] = Began.NOT

    def begin(self, slot: int, begins_by: float) -> bool:
        """Begin a job. Returns false where another process has begun it, or where it is too late."""
        at = slot * _SIZE
        if self._memory[at] != Began.NOT:
            return False
        _PROCESS.pack_into(self._memory, at + _AT, os.getpid(), time.monotonic())
        self._memory[at] = Began.YES
        if time.monotonic() > begins_by or self._memory[-1]:
            self._memory[at] = Began.REFUSED
            return False
        return True

    def end(self, slot: int) -> None:
        """Note that a job's body has ended: from now on no time limit is for it."""
        self._memory[slot * _SIZE] = Began.ENDED

    def cancel(self, slot: int) -> None:
        """Note that a job is cancelled, for its body if that asks."""
        self._memory[slot * _SIZE + _CANCELLED] = 1

    def asks_cancelled(self, slot: int) -> bool:
        """Return whether a job is cancelled, and note that its body has asked."""
        self._memory[slot * _SIZE + _ASKS] = 1
        return bool(self._memory[slot * _SIZE + _CANCELLED])

    def has_asked(self, slot: int) -> bool:
        """Return whether a job's body has asked whether it is cancelled, and so will hear of it."""
        return bool(self._memory[slot * _SIZE + _ASKS])

    def state(self, slot: int) -> Began:
        """Return how far a job has come."""
        return Began(self._memory[slot * _SIZE])

    def is_running(self, slot: int) -> bool:
        """Return whether a job's body has begun and not ended."""
        return self._memory[slot * _SIZE] == Began.YES

    def process(self, slot: int) -> tuple[int, float]:
        """Return the process that has begun a job, and when it did."""
        pid, began_at = _PROCESS.unpack_from(self._memory, slot * _SIZE + _AT)
        return pid, began_at


#: Made before the pool forks: each process must have the same memory.
started = StartedFlags()
