"""A socket from the processes of the pool to their parent, made before the pool forks. Each datagram arrives whole."""

import os
import socket
from typing import Any


class PoolSocket:
    """Both of its ends.

    Args:
        waits: whether a process waits where the parent has not read what came before; else `_send` raises OSError.
    """

    def __init__(self, *, waits: bool) -> None:
        self._parent_pid = os.getpid()
        self._receives, self._sends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._receives.setblocking(False)  # noqa: FBT003 (named by position only)
        self._sends.setblocking(waits)

    def fileno(self) -> int:
        """Return what becomes readable when something has come."""
        return self._receives.fileno()

    def close(self) -> None:
        """Close both ends."""
        self._receives.close()
        self._sends.close()

    def belong_to_child(self, **_: Any) -> None:
        """Called in each process of the pool: who waits to be read must hear that its parent, the reader, is gone.

        With the solo pool, the worker itself is that process.
        """
        if not self._is_parent():
            self._receives.close()

    def _become_parent(self) -> None:
        """Be the process that reads: it may have become a daemon since the socket was made."""
        self._parent_pid = os.getpid()

    def _is_parent(self) -> bool:
        return os.getpid() == self._parent_pid

    def _send(self, datagram: bytes) -> None:
        self._sends.send(datagram)

    def _receive(self, most: int) -> bytes | None:
        """Return the next datagram, None where none has come."""
        try:
            return self._receives.recv(most)
        except BlockingIOError:
            return None
