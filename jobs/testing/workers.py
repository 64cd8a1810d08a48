"""Real workers: processes of their own on the test's database, to be killed, frozen and stopped."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, connections

from jobs.compose import ends
from jobs.core.states import FINAL
from jobs.models import Job, Worker
from jobs.testing import worker_process
from jobs.testing.worker_process import APP, BROKER, DATABASES

#: How long a worker may take to begin, and to end in order, in seconds.
PATIENCE = 60.0

#: Seconds between two looks.
PAUSE = 0.05


class RealWorker:
    """A worker: its parent process and, with the pool of processes, its children."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.log = name, log
        self._process = process

    @property
    def pid(self) -> int:
        """Its parent process's id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether its parent process lives."""
        return self._process.poll() is None

    def children(self) -> list[int]:
        """Return the ids of its pool's processes."""
        # https://man7.org/linux/man-pages/man5/proc_pid_task.5.html
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in listed.read_text().split()] if self.is_alive else []

    def kill(self) -> None:
        """Kill all of it at once (SIGKILL), as a lost machine. Its jobs are rescued when their leases run out."""
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def kill_child(self) -> None:
        """Kill a process of its pool (SIGKILL), as the kernel does that is out of memory."""
        os.kill(self.children()[0], signal.SIGKILL)

    def freeze(self) -> None:
        """Stop all of it where it is (SIGSTOP)."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def stop(self) -> int:
        """Ask it to stop in order (SIGTERM). Returns its exit code. What runs may finish, steps end at the next one."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE)

    def wait_for(self, *jobs: Job, seconds: float = PATIENCE) -> list[Job]:
        """Wait until jobs have ended; all that there are where none is named.

        Returns:
            Their rows, as they are then.

        Raises:
            AssertionError: they did not in so many seconds, or the worker ended before; with the end of its log.
        """
        found = Job.objects.filter(pk__in=[job.pk for job in jobs]) if jobs else Job.objects.all()
        self._until(lambda: not found.exclude(state__in=FINAL).exists(), seconds, "the jobs to end")
        return list(found.order_by("created_at", "pk"))

    def wait_until_ready(self) -> None:
        """Wait until it takes jobs. Raises AssertionError as `wait_for`."""
        there = Worker.objects.filter(name=self.name, pid=self.pid, stopped_at=None)
        self._until(there.exists, PATIENCE, "the worker to be there")

    def _until(self, is_so: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise AssertionError(f"Waited {seconds:g} s for {what}.\n{self._tail()}")
            if not self.is_alive:
                raise AssertionError(f"{self.name} ended, waiting for {what}.\n{self._tail()}")
            time.sleep(PAUSE)

    def _tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def clean_up(self) -> None:
        """Kill what is left of it."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()


@contextmanager
def real_worker(
    *,
    pool: str = "prefork",
    concurrency: int = 1,
    queues: Sequence[str] = (),
    environment: dict[str, str] | None = None,
    broker: str = "ledger://",
    app: str = "",
) -> Iterator[RealWorker]:
    """Start a worker on the test's database, and kill it at the end of the context.

    The test must commit (`transaction=True`, TransactionTestCase): another process sees nothing else.

    Args:
        pool: as `celery worker` takes it: `prefork`, `threads` or `solo`.
        concurrency: processes or threads of the pool.
        queues: that it takes jobs of; all where empty.
        environment: variables besides those of the test.
        broker: its URL; none is needed where nothing is said.
        app: the Celery application, as `celery --app` takes it; the package of the settings where empty.

    Raises:
        AssertionError: it did not come up; with the end of its log. Or the test's database is SQLite in memory.
    """
    names = {alias: str(connections[alias].settings_dict["NAME"]) for alias in connections}
    if connection.vendor == "sqlite" and "memory" in names["default"]:
        raise AssertionError(
            "real_worker(): no other process sees a SQLite database in memory. Name a file for the tests: DATABASES ="
            ' {"default": {…, "TEST": {"NAME": BASE_DIR / "test.sqlite3"}}}, or use PostgreSQL.'
        )
    with tempfile.TemporaryDirectory(prefix="jobs-testing-") as directory:
        log = Path(directory) / "worker.log"
        name = f"worker-{os.urandom(4).hex()}@test"
        arguments = [
            *("--hostname", name, "--pool", pool, "--concurrency", str(concurrency), "--loglevel", "INFO"),
            *("--without-mingle", "--without-gossip", "--without-heartbeat"),
            *(["--queues", ",".join(queues)] if queues else []),
        ]
        path = app or os.environ["DJANGO_SETTINGS_MODULE"].rpartition(".")[0]
        variables = {APP: path, BROKER: broker, DATABASES: json.dumps(names), **(environment or {})}
        with log.open("wb") as output:
            process = subprocess.Popen(
                # By its path: its package needs Django's apps, which are not loaded there before the settings are.
                [sys.executable, "-P", worker_process.__file__, *arguments],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        worker = RealWorker(name, process, log)
        try:
            worker.wait_until_ready()
            yield worker
        finally:
            # Who waited for a job in this process has a connection, and the test's database is to be dropped.
            ends.listener.stop()
            worker.clean_up()
