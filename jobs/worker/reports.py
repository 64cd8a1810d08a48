"""What the pool's processes tell their parent of the jobs they have run, on a socket of its own.

What was sent is with the parent even when its sender is killed right after it: the death of a process costs the job
that it was running, and none that had ended. Celery's own pipe tells of a whole chunk, when its last job has ended.
"""

import atexit
import os
import pickle
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from celery.signals import worker_process_init

from jobs.core.outcome import Outcome, Succeeded
from jobs.ledger.attempts import Failure
from jobs.worker.pool_socket import PoolSocket

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


class Reports(PoolSocket):
    """The reports of a pool's processes, on their way to the parent process."""

    def __init__(self) -> None:
        super().__init__(waits=True)
        self._pieces: dict[int, list[bytes]] = {}
        self._lock = threading.Lock()
        self._take: Callable[[Sequence[Report]], None] = _nobody

    def serve(self, take: Callable[[Sequence[Report]], None]) -> None:
        """Have reports taken by this callable. Called in the parent process."""
        self._become_parent()
        self._take = take

    def send(self, reports: Sequence[Report]) -> None:
        """Tell the parent process. In the parent itself, as in a pool of threads, they are taken at once."""
        if self._is_parent():
            self._take(reports)
            return
        text = pickle.dumps(list(reports), pickle.HIGHEST_PROTOCOL)
        pieces = [text[at : at + MOST] for at in range(0, len(text), MOST)]
        for number, piece in enumerate(pieces):
            self._send(_HEAD.pack(os.getpid(), number, len(pieces)) + piece)

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
        datagram = self._receive(_HEAD.size + MOST)
        if datagram is None:
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


def _nobody(reports: Sequence[Any]) -> None:
    raise RuntimeError("Nobody takes reports yet.")


#: Made before the pool forks.
reports = Reports()
atexit.register(reports.close)
worker_process_init.connect(reports.belong_to_child, weak=False, dispatch_uid="jobs.reports")
