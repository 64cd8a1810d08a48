"""Kills a worker of this machine, as a machine that fails does."""

import os
import signal
import socket
from pathlib import Path

from jobs.models import Worker
from jobs.operations.bulk import record
from jobs.reports import workers


class NoWorker(Exception):
    """Raised where no worker of this machine runs."""


def kill_a_worker(actor: str) -> tuple[Worker, int]:
    """Kill the busiest worker that runs here, and record who did.

    Returns:
        Its entry, and how many jobs it was running.

    Raises:
        NoWorker: none runs here.
    """
    here = [worker for worker in workers.alive().filter(host=socket.gethostname()) if _is_a_worker(worker.pid)]
    if not here:
        raise NoWorker("No worker runs on this machine; make up starts one within a few seconds.")
    # Of those that came after each other under one name, the last one is there.
    newest = sorted(here, key=lambda worker: worker.started_at, reverse=True)
    running = [workers.running_jobs(worker).count() for worker in newest]
    found = newest[running.index(max(running))]
    record("kill worker", actor, {"worker": found.name, "pid": found.pid}, 1)
    os.kill(found.pid, signal.SIGKILL)
    return found, max(running)


def _is_a_worker(pid: int) -> bool:
    """Return whether the process under a number is still a worker: the system gives numbers again."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False
    return b"celery" in command and b"worker" in command
