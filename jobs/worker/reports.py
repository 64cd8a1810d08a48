"""What the pool's processes tell their parent of the jobs they have run, on a socket of its own.

What was sent is with the parent even when its sender is killed right after it: the death of a process costs the job
that it was running, and none that had ended. Celery's own pipe tells of a whole chunk, when its last job has ended.
"""

import os
import pickle
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from celery.signals import worker_process_init

from jobs.core.outcome import Outcome, Succeeded
from jobs.ledger.attempts import Failure

SUCCEEDED = Succeeded()


class Report(NamedTuple):
    """How one attempt ended, as the process that ran it says.

    Attributes:
        lease_id: of the attempt.
        outcome: what is to become of the job.
        failure: its error; None where it succeeded.
        result: what it returned, as JSON, for what follows it; None where nothing does.
        value: the same where the task has it kept.
        runtime: of its body, in seconds.
        shown: its result as Celery's events show it.
        canvas: what the task put in its own place or added to its chord, as JSON; None where it did neither.
    """

    lease_id: str
    outcome: Outcome
    failure: Failure | None
    result: str | None
    value: str | None
    runtime: float
    shown: str
    canvas: str | None = None


#: A datagram is at most so long, in bytes; what is longer goes in pieces. Linux grants a socket twice that.
MOST = 64 * 1024

#: What a datagram begins with: its sender, the number of this piece, and how many there are.
_HEAD = struct.Struct("=IHH")


class Reports:
    """The socket, made before the pool forks, and both of its ends."""

    def __init__(self) -> None:
        self._parent_pid = os.getpid()
        self._receives, self._sends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._receives.setblocking(False)  # noqa: FBT003 (named by position only)
        self._pieces: dict[int, list[bytes]] = {}
        self._lock = threading.Lock()
        self._take: Callable[[Sequence[Report]], None] = _nobody

    def serve(self, take: Callable[[Sequence[Report]], None]) -> None:
        """Have reports taken by this callable. Called in the parent process, which may have become a daemon since."""
        self._parent_pid, self._take = os.getpid(), take

    def fileno(self) -> int:
        """Return what becomes readable when there are reports."""
        return self._receives.fileno()

    def send(self, reports: Sequence[Report]) -> None:
        """Tell the parent process. In the parent itself, as in a pool of threads, they are taken at once."""
        if os.getpid() == self._parent_pid:
            self._take(reports)
            return
        text = pickle.dumps(list(reports), pickle.HIGHEST_PROTOCOL)
        pieces = [text[at : at + MOST] for at in range(0, len(text), MOST)]
        for number, piece in enumerate(pieces):
            self._sends.send(_HEAD.pack(os.getpid(), number, len(pieces)) + piece)

    def read(self) -> None:
        """Take all that has come. Called in the parent process, by any thread."""
        while True:
            with self._lock:
                reports = self._read()
            if reports is None:
                return
            if reports:
                self._take(reports)

    def _read(self) -> list[Report] | None:
        try:
            datagram = self._receives.recv(_HEAD.size + MOST)
        except BlockingIOError:
            return None
        sender, number, of = _HEAD.unpack_from(datagram)
        piece = datagram[_HEAD.size :]
        if of == 1:
            return pickle.loads(piece)  # type: ignore[no-any-return]  # noqa: S301 (our own child has made it)
        pieces = self._pieces.setdefault(sender, [])
        if number == 0:
            # Whoever had the process id before died amid a report.
            pieces.clear()
        pieces.append(piece)
        if len(pieces) < of:
            return []
        return pickle.loads(b"".join(self._pieces.pop(sender)))  # type: ignore[no-any-return]  # noqa: S301

    def belong_to_child(self, **_: Any) -> None:
        """Called in each process of the pool: who waits to be read must hear that its parent, the reader, is gone.

        With the solo pool, the worker itself is that process.
        """
        if os.getpid() != self._parent_pid:
            self._receives.close()

    def close(self) -> None:
        """Close both ends."""
        self._receives.close()
        self._sends.close()


def _nobody(reports: Sequence[Any]) -> None:
    raise RuntimeError("Nobody takes reports yet.")


#: Made before the pool forks.
reports = Reports()
worker_process_init.connect(reports.belong_to_child, weak=False, dispatch_uid="jobs.reports")
