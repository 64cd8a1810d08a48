"""A pool process must not outlive its lease: without the parent nobody renews the lease of the job it runs.

When the parent is killed or frozen, another worker takes the job over as soon as its lease runs out. A child that went
on working would then run it a second time at once. So the parent leaves a sign of life in memory that all share, and a
child ends itself when the parent is gone, or has left none for as long as a lease lasts. A database that is away is no
reason: then nobody can take the job over.
"""

import mmap
import os
import struct
import threading
import time
from typing import Any

from celery.signals import worker_process_init

from jobs.conf import conf

#: Seconds between two signs of the parent, and between two looks at them; well below any lease.
EVERY = 0.5

#: A clock that runs on while the machine sleeps, as the database's does.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_sign = mmap.mmap(-1, 8)


def tie_children_to_parent() -> None:
    """Have every pool process end with its worker's parent process, and with its leases."""
    worker_process_init.connect(_watch_parent, dispatch_uid="jobs.lifeline")


def give_signs() -> None:
    """Let this process's children know that it lives. Called by the parent once."""
    _leave_sign()
    threading.Thread(target=_give_signs, args=(os.getpid(),), name="jobs-lifeline", daemon=True).start()


def _give_signs(pid: int) -> None:
    while os.getpid() == pid:
        time.sleep(EVERY)
        _leave_sign()


def _leave_sign() -> None:
    struct.pack_into("d", _sign, 0, time.clock_gettime(_CLOCK))


def _watch_parent(**_: Any) -> None:
    seconds = conf().lease_seconds
    threading.Thread(target=_watch, args=(os.getppid(), seconds), name="jobs-lifeline", daemon=True).start()


def _watch(parent: int, lease_seconds: float) -> None:
    while os.getppid() == parent and _silence() < lease_seconds:
        time.sleep(EVERY)
    os._exit(1)


def _silence() -> float:
    """Return for how many seconds the parent has left no sign; none where it never did."""
    (signed_at,) = struct.unpack_from("d", _sign, 0)
    return time.clock_gettime(_CLOCK) - signed_at if signed_at else 0.0
