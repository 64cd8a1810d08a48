"""A worker's end, within a bounded time: running jobs finish, and what does not finish is handed back."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from celery.worker import state
from django.db import Error as DatabaseError, connection

from jobs.core.outcome import Released
from jobs.ledger.attempts import Ended, Failure
from jobs.ledger.put_back import put_back
from jobs.ledger.record import record_many
from jobs.ledger.sql import RowLocked
from jobs.worker.reserved import Reserved, ReservedJob

logger = logging.getLogger(__name__)

_renewing = threading.Event()

_STOPPED = Failure("WorkerStopped", "The worker was stopped before the job ended; it goes back to its queue.")


def bound(worker: Any, seconds: float, at_end: Callable[[], None]) -> None:
    """End this process at the latest `seconds` after it was told to stop, however long its jobs take.

    `at_end` is called last, by a thread of its own.
    """
    threading.Thread(
        target=_watch, args=(worker, seconds, os.getpid(), at_end), name="jobs-shutdown", daemon=True
    ).start()


def renew() -> None:
    """Stop this worker in order, then replace its process by a new one with the same command line.

    Threads that hang cannot be ended otherwise.
    """
    _renewing.set()
    state.should_stop = 0


def hand_back(reserved: Reserved) -> None:
    """Hand back the jobs that this worker had begun and will not end, and those that it had claimed and not begun."""
    _hand_back(_left(reserved), reserved)


def _left(reserved: Reserved) -> list[ReservedJob]:
    return [job for job in reserved.begun() if not job.is_ended]


def _hand_back(left: Sequence[ReservedJob], reserved: Reserved) -> None:
    # Claims whose answer nobody has taken are among these.
    begun = {job.job.lease_id for job in left} | {job.job.lease_id for job in reserved.all() if job.is_ended}
    unbegun = [lease_id for lease_id in reserved.leases() if lease_id not in begun]
    if not left and not unbegun:
        return
    if left:
        logger.warning("%d jobs did not end in time and go back to their queues.", len(left))
    try:
        ends = [Ended(job.job.id, job.job.lease_id, job.job.attempt, Released(), _STOPPED) for job in left]
        if ends and record_many(ends).locked:
            logger.warning("Some could not be handed back; they are rescued when their leases run out.")
        put_back(unbegun)
    except (DatabaseError, RowLocked) as exc:
        logger.warning("They could not be handed back (%s); they are rescued when their leases run out.", exc)
    connection.close()


def _watch(worker: Any, seconds: float, pid: int, at_end: Callable[[], None]) -> None:
    while state.should_stop is None and state.should_terminate is None:
        time.sleep(0.2)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and _is_worth_waiting(worker):
        time.sleep(0.2)
    if os.getpid() != pid:
        return
    # Asked before: a job whose process is killed is soon on nobody's list, with no time left to record its end.
    reserved = worker.consumer.engine.reserved
    left = _left(reserved)
    for child in _children(worker):
        _kill(child)
    _hand_back(left, reserved)
    at_end()
    if _renewing.is_set():
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (our own command line)
    os._exit(0)


def _is_worth_waiting(worker: Any) -> bool:
    if _renewing.is_set():
        # It is not joined by its hung threads: it need only wait for those that work.
        return bool(worker.consumer.engine.reserved.running())
    # Told to end at once (SIGQUIT), Celery kills the pool's processes; threads cannot be ended but with their worker.
    return not state.should_terminate or bool(_children(worker))


def _children(worker: Any) -> list[int]:
    processes = getattr(getattr(worker.pool, "_pool", None), "_pool", None) or []
    return [process.pid for process in processes if isinstance(getattr(process, "pid", None), int)]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
