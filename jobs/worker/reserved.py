"""The jobs that a worker has claimed, from the claim to their recorded end: whose leases are to be renewed."""

import os
import signal
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from celery.platforms import signals as platform_signals
from celery.worker import state
from kombu.utils.json import loads

from jobs.ledger.claims import Claimed
from jobs.tasks.redaction import shown_arguments
from jobs.worker.started_flags import Began, started

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask
    from jobs.worker.pool import Chunk


class ReservedJob:
    """A job under this worker's lease. To Celery's remote control it is a request like any other.

    Attributes:
        job: what the ledger said of it when it was claimed.
        id: the Celery task id.
        is_foreign: whether it came in a message of somebody else's, which nobody has checked.
        is_told_begun: whether Celery and whoever listens to its events know that it has begun.
        is_warned: whether it was told of its soft limit.
        slot: among the `started` flags.
        chunk: that the pool has it in; None before.
        is_ended: whether its end is known, and needs only be recorded.
        ended_at: since when it is, by the monotonic clock.
        cancelled_at: when an operator's wish to end it came here, by the monotonic clock; 0 before.
        cancelled: whether it was ended for that from outside.
        is_terminated: whether it is to be ended at once, without a word.
        overtime: the hard limit that it has run past, in seconds.
        is_past_deadline: whether it was ended because its deadline had passed.
        is_killed: whether its process was ended for it.
    """

    __slots__ = (
        "__weakref__", "cancelled", "cancelled_at", "chunk", "claimed_at", "ended_at", "hostname", "id", "is_ended",
        "is_foreign", "is_killed", "is_past_deadline", "is_terminated", "is_told_begun", "is_warned", "job", "overtime",
        "signal", "slot", "task",
    )  # fmt: skip

    acknowledged = True

    def __init__(self, job: Claimed, task: "JobTask", hostname: str, *, is_foreign: bool = False) -> None:
        self.job, self.task, self.hostname, self.claimed_at = job, task, hostname, time.monotonic()
        self.id = str(job.id)
        self.slot = started.take()
        self.ended_at = self.cancelled_at = 0.0
        self.chunk: Chunk | None = None
        self.is_ended = self.is_told_begun = self.is_warned = self.cancelled = self.is_terminated = False
        self.is_past_deadline = self.is_killed = False
        self.is_foreign = is_foreign
        self.overtime: float | None = None
        self.signal: int = signal.SIGKILL

    # --- What it does -----------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether its body runs now."""
        return not self.is_ended and started.is_running(self.slot)

    def kill(self) -> bool:
        """End the pool process that runs it. Returns whether there is one; threads cannot be ended."""
        pid, _ = started.process(self.slot)
        if pid == os.getpid() or not self.is_running:
            return False
        # Said before: whoever hears of the death must know whose it was.
        self.is_killed = True
        try:
            os.kill(pid, self.signal)
        except ProcessLookupError:
            return False
        return True

    @property
    def was_in_the_way(self) -> bool:
        """Whether it shared a call with a job of its batch whose process was ended, and not for this one too."""
        call = next((call for call in self.chunk.calls if self in call), ()) if self.chunk else ()
        return not self.is_killed and any(mate.is_killed for mate in call)

    # --- What Celery asks of a request ------------------------------------------------------------

    @property
    def name(self) -> str:
        """The task's name."""
        return self.job.task

    task_name = name

    @property
    def worker_pid(self) -> int | None:
        """The process that has begun it."""
        return None if started.state(self.slot) == Began.NOT else started.process(self.slot)[0]

    @property
    def time_start(self) -> float | None:
        """When it began, by the machine's monotonic clock."""
        return None if started.state(self.slot) == Began.NOT else started.process(self.slot)[1]

    @property
    def delivery_info(self) -> dict[str, Any]:
        """How its message came."""
        return {"exchange": "", "routing_key": self.job.queue, "priority": self.job.priority, "redelivered": False}

    @property
    def stamped_headers(self) -> list[str] | None:
        """The names of its stamps; None where it has none."""
        names: list[str] | None = self._headers.get("stamped_headers")
        return names

    @property
    def stamps(self) -> dict[str, Any]:
        """What it is stamped with."""
        return self._headers.get("stamps") or {}

    @property
    def replaced_task_nesting(self) -> int:
        """How many tasks, one after the other, it is a replacement of."""
        return int((self.job.options or {}).get("replaced_task_nesting", 0))

    @property
    def errbacks(self) -> list[Any] | None:
        """Its error links, as signatures."""
        links: list[Any] | None = (self.job.options or {}).get("link_error")
        return links

    @property
    def _headers(self) -> dict[str, Any]:
        return (self.job.options or {}).get("headers") or {}

    def info(self, safe: bool = False) -> dict[str, Any]:
        """Return what `celery inspect` and Flower show of it: arguments as people may see them."""
        args, kwargs = shown_arguments(self.job.task, loads(self.job.args), loads(self.job.kwargs))
        return {
            "id": self.id, "name": self.name, "args": args, "kwargs": kwargs, "type": self.name,
            "hostname": self.hostname, "time_start": self.time_start, "acknowledged": True,
            "delivery_info": self.delivery_info, "worker_pid": self.worker_pid,
        }  # fmt: skip

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """Called by `revoke(terminate=True)`: what is to end it; the ledger says when."""
        self.signal = platform_signals.signum(signal or "TERM")
        self.is_terminated = True

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """Called when the worker must end at once."""
        self.kill()

    def __repr__(self) -> str:
        return f"<{self.name}[{self.id}]>"


class Reserved:
    """All of them, by lease. Any thread may call any method."""

    def __init__(self) -> None:
        self._jobs: dict[str, ReservedJob] = {}
        self._lock = threading.Lock()
        #: Leases asked for, whose claims have not been answered.
        self._asked: set[str] = set()
        #: Jobs that were taken from threads, which go on with them.
        self._taken: dict[str, ReservedJob] = {}

    def ask(self, leases: Iterable[str]) -> None:
        """Note that jobs may be claimed under these leases from now on."""
        with self._lock:
            self._asked.update(leases)

    def answered(self, leases: Iterable[str], jobs: Iterable[ReservedJob]) -> None:
        """Note which jobs were claimed under these leases."""
        with self._lock:
            self._jobs.update((job.job.lease_id, job) for job in jobs)
            self._asked.difference_update(leases)

    def remove(self, job: ReservedJob) -> None:
        """Note that a job is no longer this worker's: its end is recorded, or it went back."""
        with self._lock:
            if self._jobs.pop(job.job.lease_id, None) is None:
                return
            goes_on = job.job.lease_id in self._taken
        if not goes_on:
            started.free(job.slot)
        state.task_ready(job)

    def take_from_thread(self, job: ReservedJob) -> None:
        """Note that a job has ended for us, and that the thread which runs it goes on."""
        with self._lock:
            self._taken[job.job.lease_id] = job

    def come_back(self, lease_id: str) -> ReservedJob | None:
        """Return a job that was taken from a thread, which has ended it now."""
        with self._lock:
            job = self._taken.pop(lease_id, None)
            is_gone = lease_id not in self._jobs
        if job is not None and is_gone:
            started.free(job.slot)
        return job

    def get(self, lease_id: str) -> ReservedJob | None:
        """Return the job under a lease."""
        return self._jobs.get(lease_id)

    def all(self) -> list[ReservedJob]:
        """Return all jobs."""
        with self._lock:
            return list(self._jobs.values())

    def leases(self) -> list[str]:
        """Return the leases that this worker holds, or may hold."""
        with self._lock:
            return [*self._jobs, *self._asked]

    def running(self) -> list[ReservedJob]:
        """Return the jobs whose bodies run now."""
        return [job for job in self.all() if job.is_running]

    def begun(self) -> list[ReservedJob]:
        """Return the jobs that have begun and are not recorded."""
        return [job for job in self.all() if job.is_ended or started.state(job.slot) in {Began.YES, Began.ENDED}]
