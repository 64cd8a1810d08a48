"""Processes that do not outlive the process that started them, however it ends."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

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


class Starter:
    """The make that started us, if one did.

    A terminal sends Ctrl-C to us as well. But make killed outright tells nobody, and make interrupted alone waits for
    us without a word; there it shows only in that make no longer catches the signal.
    """

    def __init__(self) -> None:
        self._pid = os.getppid() if "MAKELEVEL" in os.environ else None
        self._caught = self._catches_interrupts()

    def wants_us_to_stop(self) -> bool:
        """Return whether make is gone, or was interrupted."""
        if self._pid is None:
            return False
        return os.getppid() != self._pid or self._caught != self._catches_interrupts()

    def _catches_interrupts(self) -> bool:
        try:
            status = Path(f"/proc/{self._pid}/status").read_text()
        except OSError:
            return False
        caught = next((line for line in status.splitlines() if line.startswith("SigCgt:")), "SigCgt: 0")
        return bool(int(caught.split()[1], 16) & 1 << (signal.SIGINT - 1))
