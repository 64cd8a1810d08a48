"""Free ports for servers that are stopped and started again on the same one, each held until the process ends."""

import fcntl
import os
import random
import tempfile
from functools import cache
from pathlib import Path

from project.embedded.ports import is_taken

#: Below the range from which systems take the local end of outgoing connections: else, while a server is
#: down, a client trying to reconnect may be given the server's own port, and the server cannot come back.
FIRST, LAST = 15_000, 30_000

# Not the global generator: that one is seeded alike in every test, and would propose the same ports again.
_random = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nothing listens, never the same one twice."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """Return the first of `count` such ports in a row."""
    while True:
        first = _random.randint(FIRST, LAST - count)
        ports = range(first, first + count)
        if _given.isdisjoint(ports) and all(_hold(port) and not is_taken(port) for port in ports):
            _given.update(ports)
            return first


def _hold(port: int) -> bool:
    """Lock the byte that stands for this port, and return whether no other process of this run has.

    Nothing listens on a port between its choice and its server's start, nor while the server is stopped: without
    the lock the tests that run beside these would take it for free.
    """
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _locks() -> int:
    """Open the file of the locks: all lanes of a run share its folder, a process that ends lets go of its own."""
    return os.open(Path(tempfile.gettempdir()) / "nightshift-test-ports", os.O_RDWR | os.O_CREAT, 0o600)
