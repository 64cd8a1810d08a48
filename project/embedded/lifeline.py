"""Child processes that do not outlive the process that started them, however it ends."""

import ctypes
import signal
import sys
from collections.abc import Callable

# Looked up now: between fork and exec a child of a process with threads can do little.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn` that has the kernel send `number` to the child when its parent is gone; Linux only.

    The parent is the thread that starts the child, so that thread must live as long.
    """

    def tie() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, number)

    return tie
