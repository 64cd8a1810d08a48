"""Processes forked by a test, as a worker forks those of its pool."""

import os
import signal
import traceback
from collections.abc import Callable


def fork(act: Callable[[], object]) -> int:
    """Have a child process do something and end. Returns its id; the child ends with 1 where that raises."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        act()
        status = 0
    except BaseException:  # noqa: BLE001 (the test sees that it failed; why, is shown with it)
        traceback.print_exc()
    finally:
        # Nothing of the test's own may run in a child, whatever happened there.
        os._exit(status)


def ended(pid: int) -> int:
    """Wait for a child, and return how it ended: its status, or the negative number of its signal."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def run(act: Callable[[], object]) -> int:
    """Have a child do something that must not fail. Returns the process id that it had."""
    pid = fork(act)
    assert ended(pid) == 0
    return pid


def die() -> None:
    """End this process as the kernel does that is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
