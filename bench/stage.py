"""A variant's worker on its servers, warm, and what can be measured with it."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import quantiles

from bench import enqueue
from bench.figures import Idle, Latency, Work
from bench.marks import VARIABLE, Marks
from bench.servers import ROOT, Servers
from bench.variants import Pool, Variant
from bench.worker import Worker

#: The longest a worker may take for anything, in seconds.
_PATIENCE = 300.0

#: Between two looks at whether all ran, and at the worker's memory, in seconds.
_PAUSE, _WEIGHED = 0.01, 0.5

#: What a worker that has just ended its jobs may still have to do, in seconds.
_CALM = 1.0


@contextlib.contextmanager
def stage(variant: Variant, pool: Pool, servers: Servers, directory: Path) -> Iterator["Stage"]:
    """Start a worker on empty servers and yield what it can do once it is warm."""
    path = directory / "marks"
    marks = Marks.create(path)
    environment = {
        **servers.environment(),
        **variant.environment,
        "DJANGO_SETTINGS_MODULE": variant.settings,
        VARIABLE: str(path),
    }
    servers.clear()
    with Worker(variant, pool, environment, directory / "worker.log") as worker:
        play = Stage(variant, servers, worker, marks, environment)
        play.warm_up()
        yield play


class Stage:
    """A running worker, with the variables and the marks that lead to it."""

    def __init__(
        self, variant: Variant, servers: Servers, worker: Worker, marks: Marks, environment: Mapping[str, str]
    ) -> None:
        self._variant, self._servers, self._worker = variant, servers, worker
        self._marks, self._environment = marks, environment

    def warm_up(self) -> None:
        """Let the worker run something, so that all it needs is loaded and connected."""
        self._enqueue("nothing", 0)
        self._wait(enqueue.WARM_UP)

    def drain(self, task: str, jobs: int, *, bulk: bool = False) -> tuple[Work, Work]:
        """Return what enqueueing took while the worker was held still, and what running it all took then."""
        self._marks.clear()
        with self._worker.frozen(self._servers):
            before = self._servers_cpu()
            took = self._enqueue(task, jobs, bulk=bulk)
            database, broker = self._servers_since(before)
            before, cpu = self._servers_cpu(), self._worker.cpu()
        enqueued = Work(jobs, took["seconds"], took["cpu"], database, broker)
        every = jobs + enqueue.WARM_UP
        ended, memory = self._wait(every)
        seconds = ended - self._marks.first(every)
        ran = Work(every, seconds, self._worker.cpu() - cpu, *self._servers_since(before), memory)
        return enqueued, ran

    def latency(self, jobs: int, rate: float) -> Latency:
        """Return how long single jobs waited to begin, so many of them in a second."""
        self._marks.clear()
        self._enqueue("nothing", jobs, rate=rate)
        self._wait(jobs + enqueue.WARM_UP)
        steps = quantiles(self._marks.latencies(jobs), n=100)
        return Latency(steps[49] * 1000, steps[98] * 1000)

    def idle(self, seconds: float) -> Idle:
        """Return what the worker does while there is nothing to do."""
        time.sleep(_CALM)
        cpu, began = self._worker.cpu(), time.monotonic()
        told = self._servers.database.statements(seconds)
        spent = (self._worker.cpu() - cpu) / (time.monotonic() - began) * 1000
        if told is None:
            return Idle(None, spent)
        each = tuple((calls / seconds, statement) for calls, statement in told)
        return Idle(sum(rate for rate, _ in each), spent, each)

    def _enqueue(self, task: str, jobs: int, *, rate: float = 0, bulk: bool = False) -> Mapping[str, float]:
        result = subprocess.run(
            [
                *(self._variant.python, "-m", "bench.enqueue", "--app", self._variant.app),
                *("--side", self._variant.side, "--task", task, "--jobs", str(jobs), "--rate", str(rate)),
                *(["--bulk"] if bulk else []),
            ],
            env={**os.environ, **self._environment},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        )
        measured: Mapping[str, float] = json.loads(result.stdout)
        return measured

    def _wait(self, jobs: int) -> tuple[float, int]:
        """Wait until these jobs ran and their outcomes are kept; return when that was, and the worker's most memory."""
        deadline = time.monotonic() + _PATIENCE
        memory, weighed = self._worker.memory(), time.monotonic()
        while not self._marks.all_ran(jobs):
            self._look(deadline)
            if time.monotonic() > weighed + _WEIGHED:
                memory, weighed = max(memory, self._worker.memory()), time.monotonic()
        if not self._variant.uses_database:
            return self._marks.last(jobs), memory
        while not self._servers.settled():
            self._look(deadline)
        return time.monotonic(), memory

    def _look(self, deadline: float) -> None:
        """Pause before another look; raise where there will be nothing more to see."""
        if self._worker.ended or time.monotonic() > deadline:
            why = "ended" if self._worker.ended else f"did not run all jobs within {_PATIENCE:g} s"
            raise RuntimeError(f"{self._variant.title}: the worker {why}.\n{self._worker.log}")
        time.sleep(_PAUSE)

    def _servers_cpu(self) -> tuple[float, float]:
        return self._servers.database.cpu(), self._servers.broker.cpu()

    def _servers_since(self, before: tuple[float, float]) -> tuple[float, float]:
        database, broker = self._servers_cpu()
        return database - before[0], broker - before[1]
