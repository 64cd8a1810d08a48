"""A variant's worker on its servers, warm, and what can be measured with it."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

from bench import enqueue
from bench.databases import PostgreSQL
from bench.figures import Claims, Fetch, Idle, Latency, Turns, Work
from bench.marks import FLOODED, VARIABLE, Marks
from bench.producer import Producer
from bench.servers import Servers
from bench.site import measured
from bench.variants import Pool, Variant, VariantFailed
from bench.worker import Worker

#: The longest a worker may take for anything, in seconds.
_PATIENCE = 300.0

#: Between two looks at whether all ran, and at the worker's memory, in seconds.
_PAUSE, _WEIGHED = 0.01, 0.5

#: What a worker that has just ended its jobs may still have to do, in seconds.
_CALM = 1.0

#: The jobs of a tenant that has few.
_FEW = 10


@contextlib.contextmanager
def stage(variant: Variant, pool: Pool, servers: Servers, directory: Path) -> Iterator["Stage"]:
    """Start a worker, and what enqueues, on empty servers; yield what they can do once they are warm."""
    path = directory / "marks"
    marks = Marks.create(path)
    environment = {**servers.environment(), **variant.environment, VARIABLE: str(path)}
    servers.clear()
    with (
        Worker(variant, pool, environment, directory / "worker.log") as worker,
        Producer(variant, environment) as producer,
    ):
        warm = Stage(variant, servers, worker, producer, marks)
        warm.wait(enqueue.WARM_UP)
        yield warm


class Stage:
    """A running worker, what enqueues for it, and the marks of what ran."""

    def __init__(self, variant: Variant, servers: Servers, worker: Worker, producer: Producer, marks: Marks) -> None:
        self._variant, self._servers, self._marks = variant, servers, marks
        self._worker, self._producer = worker, producer

    def drain(self, task: str, jobs: int, *, at_once: int = 0) -> tuple[Work, Work]:
        """Return what enqueueing took while the worker was held still, and what running it all took then."""
        self._marks.clear()
        with self._worker.frozen(self._servers):
            before = self._servers_cpu()
            took = self._producer.enqueue(task, jobs, at_once=at_once)
            enqueued = Work(jobs, took["seconds"], took["cpu"], *self._servers_since(before))
            before, cpu, parent = self._servers_cpu(), self._worker.cpu(), self._worker.parent_cpu()
            began = time.monotonic()
        ended, memory = self.wait(jobs)
        cpu, parent = self._worker.cpu() - cpu, self._worker.parent_cpu() - parent
        return enqueued, Work(jobs, ended - began, cpu, *self._servers_since(before), parent, memory)

    def latency(self, jobs: int, rate: float) -> Latency:
        """Return how long single jobs waited to begin, so many of them in a second."""
        self._marks.clear()
        self._producer.enqueue("nothing", jobs, rate=rate)
        self.wait(jobs)
        steps = quantiles(self._marks.latencies(jobs), n=100)
        return Latency(steps[49] * 1000, steps[98] * 1000)

    def fetch(self, jobs: int) -> Fetch:
        """Return how long results took to be with whoever waited for them."""
        self._marks.clear()
        return Fetch(median(self._producer.enqueue("returns", jobs, fetch=True)["waited"]) * 1000)

    def claims(self) -> Claims | None:
        """Return what the statement that claims takes; None where it is not PostgreSQL's."""
        if not isinstance(self._servers.database, PostgreSQL):
            return None
        return Claims(**json.loads(measured("bench.claims:timed", self._servers.environment()).result))

    def turns(self, flood: int, *, at_once: int) -> Turns:
        """Return what a tenant's few jobs take alone, and beside another's flood; what is left of that stays there."""
        # The first time says how long such jobs take, by which the worker claims ahead.
        self._few()
        alone = self._few()
        self._marks.clear()
        with self._worker.frozen(self._servers):
            self._producer.enqueue("of_many", flood, at_once=at_once)
        deadline = time.monotonic() + _PATIENCE
        while not self._marks.has_run(FLOODED):
            self._look(deadline)
        time.sleep(_CALM)
        return Turns(alone, self._few(), flood)

    def _few(self) -> float:
        self._marks.clear()
        self._producer.enqueue("of_few", _FEW)
        deadline = time.monotonic() + _PATIENCE
        while not self._marks.all_ran(_FEW):
            self._look(deadline)
        return (self._marks.last(_FEW) - self._marks.first_call()) * 1000

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

    def wait(self, jobs: int) -> tuple[float, int]:
        """Wait until these jobs ran and their outcomes are kept; return when that was, and the worker's most memory."""
        deadline = time.monotonic() + _PATIENCE
        memory, weighed = self._worker.memory(), time.monotonic()
        while not self._marks.all_ran(jobs):
            self._look(deadline)
            if time.monotonic() > weighed + _WEIGHED:
                memory, weighed = max(memory, self._worker.memory()), time.monotonic()
        if not self._variant.keeps_outcomes:
            return self._marks.last(jobs), memory
        while not self._servers.settled():
            self._look(deadline)
        return time.monotonic(), memory

    def _look(self, deadline: float) -> None:
        """Pause before another look; raise where there will be nothing more to see."""
        if self._worker.ended or time.monotonic() > deadline:
            why = "ended" if self._worker.ended else f"did not run all jobs within {_PATIENCE:g} s"
            raise VariantFailed(f"{self._variant.title}: the worker {why}.\n{self._worker.log}")
        time.sleep(_PAUSE)

    def _servers_cpu(self) -> tuple[float, float]:
        return self._servers.database.cpu(), self._servers.broker.cpu()

    def _servers_since(self, before: tuple[float, float]) -> tuple[float, float]:
        database, broker = self._servers_cpu()
        return database - before[0], broker - before[1]
