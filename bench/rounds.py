"""One round of one variant: enqueue with the worker held still, then let it run, then jobs at a modest rate."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from bench import enqueue, usage
from bench.marks import VARIABLE, Marks
from bench.servers import Servers
from bench.variants import Pool, Variant
from tests.servers.processes import kill_group, spawn, tail

ROOT = Path(__file__).resolve().parent.parent

#: The longest a worker may take for anything, in seconds.
PATIENCE = 300.0

#: Between two looks at a running worker, in seconds.
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Figures:
    """What one round measured.

    Attributes:
        enqueue_rate, run_rate: jobs/s.
        enqueue_cpu, run_cpu: CPU seconds per 1,000 jobs, of the process or worker and the servers together.
        enqueue_servers, run_servers: the servers' part of these.
        memory: peak of the worker with its children, MB.
        p50, p99: milliseconds from the call to the body, at a modest rate.
    """

    enqueue_rate: float
    enqueue_cpu: float
    enqueue_servers: float
    run_rate: float
    run_cpu: float
    run_servers: float
    memory: float
    p50: float
    p99: float


class Round:
    """A variant in a pool on servers, with a worker of its own."""

    def __init__(self, variant: Variant, pool: Pool, servers: Servers, directory: Path) -> None:
        self._variant, self._pool, self._servers = variant, pool, servers
        self._log = directory / "worker.log"
        path = directory / "marks"
        self._marks = Marks.create(path)
        self._environment = {
            **servers.environment(),
            **variant.environment,
            "DJANGO_SETTINGS_MODULE": variant.settings,
            VARIABLE: str(path),
        }

    def measure(self, jobs: int, latency_jobs: int, latency_rate: float) -> Figures:
        """Measure everything once."""
        self._servers.clear()
        with self._worker() as worker:
            self._warm_up()
            with _frozen(worker):
                servers = self._servers.cpu()
                enqueued = self._enqueue(jobs)
                enqueue_servers = self._servers.cpu() - servers
                all_jobs = jobs + enqueue.WARM_UP
                servers, cpu = self._servers.cpu(), usage.cpu(worker.pid)
            peak = self._wait(worker, all_jobs)
            run_servers, run_cpu = self._servers.cpu() - servers, usage.cpu(worker.pid) - cpu
            span = self._marks.span(all_jobs)
            p50, p99 = self._latency(worker, latency_jobs, latency_rate)
        return Figures(
            enqueue_rate=jobs / enqueued["seconds"],
            enqueue_cpu=(enqueued["cpu"] + enqueue_servers) / jobs * 1000,
            enqueue_servers=enqueue_servers / jobs * 1000,
            run_rate=all_jobs / span,
            run_cpu=(run_cpu + run_servers) / all_jobs * 1000,
            run_servers=run_servers / all_jobs * 1000,
            memory=peak / 1e6,
            p50=p50 * 1000,
            p99=p99 * 1000,
        )

    @contextlib.contextmanager
    def _worker(self) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "celery", "--app", self._variant.app, "worker", *self._pool.options]
        self._log.unlink(missing_ok=True)
        worker = spawn(command, log=self._log, environment=self._environment, directory=ROOT)
        try:
            yield worker
            worker.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(10)
        finally:
            kill_group(worker)

    def _warm_up(self) -> None:
        self._enqueue(0)
        self._wait(None, enqueue.WARM_UP)
        self._marks.clear()

    def _enqueue(self, jobs: int, rate: float = 0) -> Mapping[str, float]:
        result = subprocess.run(
            [
                *(sys.executable, "-m", "bench.enqueue", "--app", self._variant.app, "--task", self._variant.task),
                *("--jobs", str(jobs), "--rate", str(rate)),
            ],
            env={**os.environ, **self._environment},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
        measured: Mapping[str, float] = json.loads(result.stdout)
        return measured

    def _wait(self, worker: subprocess.Popen[bytes] | None, jobs: int) -> int:
        """Wait until these jobs ran; return the worker's peak of memory meanwhile."""
        deadline = time.monotonic() + PATIENCE
        peak = 0
        while not (self._marks.all_ran(jobs) and self._servers.settled()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._variant.title}: not all jobs ran in time.\n{tail(self._log)}")
            if worker is not None:
                peak = max(peak, usage.memory(worker.pid))
            time.sleep(PAUSE)
        return peak

    def _latency(self, worker: subprocess.Popen[bytes], jobs: int, rate: float) -> tuple[float, float]:
        if not jobs:
            return 0.0, 0.0
        self._marks.clear()
        self._enqueue(jobs, rate)
        self._wait(worker, jobs)
        steps = quantiles(self._marks.latencies(jobs), n=100)
        return steps[49], steps[98]


@contextlib.contextmanager
def _frozen(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Hold a worker and its children still: what is enqueued meanwhile waits, and the clock of its CPU stands."""
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)
