"""Two ways to do the same jobs, compared: what is enqueued waits for a worker held still, then the drain is timed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import psycopg
import redis

from bench import usage
from bench.servers import ROOT, Servers
from tests.servers.processes import kill_group, signal_group, spawn
from tests.waiting import wait_for

_UNSETTLED = "SELECT FROM jobs_job WHERE state <> 'succeeded' LIMIT 1"

#: Holds a worker still for as long as its context lasts.
Hold = Callable[[], AbstractContextManager[None]]


@dataclass(slots=True)
class Way:
    """A way to do something, and how much of it was done a second in each round."""

    title: str
    count: int = 0
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, count: int, took: "Took") -> None:
        """Note a round."""
        self.count = count
        self.rates.append(count / took.seconds)
        self.cpu.append(took.cpu / count * 1000)


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds, and seconds of CPU of this process and all it started: servers, workers."""

    seconds: float
    cpu: float


def took(act: Callable[[], object]) -> Took:
    """Return what something took."""
    cpu, began = usage.cpu(os.getpid()), time.monotonic()
    act()
    return Took(time.monotonic() - began, usage.cpu(os.getpid()) - cpu)


def table(doing: str, things: str, ways: Sequence[Way]) -> str:
    """Return the figures of all ways."""
    lines = [f"| {doing} | {things} | {things}/s, median | all rounds | CPU s/1,000 |", "|---|---:|---:|---|---:|"]
    for way in ways:
        rounds = ", ".join(f"{rate:,.0f}" for rate in way.rates)
        lines.append(f"| {way.title} | {way.count:,} | {median(way.rates):,.0f} | {rounds} | {median(way.cpu):.2f} |")
    return "\n".join(lines)


def times(one: Way, other: Way) -> str:
    """Return how much faster one way is, round by round: the machine's speed drifts, the ratio less so."""
    return f"{median(a / b for a, b in zip(one.rates, other.rates, strict=True)):.1f}"


def cheaper(one: Way, other: Way) -> str:
    """Return how much less CPU one way takes, round by round: what else the machine does hardly shows in it."""
    return f"{median(b / a for a, b in zip(one.cpu, other.cpu, strict=True)):.1f}"


def drained(servers: Servers, variables: Mapping[str, str], held: Hold, module: str, way: str, count: int) -> Took:
    """Enqueue with the worker held still; return what it took from its release to the outcome of the last job."""
    servers.clear()
    with _prepared(module, [way, count], variables) as go:
        wait_for(servers.settled, 60)
        with held():
            go()
        cpu, began = usage.cpu(os.getpid()), time.monotonic()
        with psycopg.connect(variables["DATABASE_URL"], autocommit=True) as database:
            while database.execute(_UNSETTLED).fetchone() is not None:
                time.sleep(0.05)
        seconds = time.monotonic() - began
        # Batches leave messages behind, which cost something too.
        with redis.Redis.from_url(variables["BROKER_URL"]) as broker:
            while any(broker.type(key) == b"list" for key in broker.scan_iter()):
                time.sleep(0.05)
        return Took(seconds, usage.cpu(os.getpid()) - cpu)


@contextmanager
def worker(variables: Mapping[str, str], log: Path, *, queues: Sequence[str]) -> Iterator[Hold]:
    """Run a worker with four threads on these queues; yield what holds it still for a while."""
    process = spawn(
        [
            *(sys.executable, "-m", "celery", "--app", "project", "worker", "--loglevel", "WARNING"),
            *("--pool", "threads", "--concurrency", "4", "--queues", ",".join(queues)),
        ],
        log=log,
        environment=variables,
        directory=ROOT,
    )
    try:
        yield partial(_held, process)
    finally:
        kill_group(process)


@contextmanager
def _held(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Hold a worker still: what is enqueued meanwhile waits for it."""
    signal_group(process, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_group(process, signal.SIGCONT)


@contextmanager
def _prepared(module: str, arguments: Sequence[object], variables: Mapping[str, str]) -> Iterator[Callable[[], None]]:
    """Start a process of ours that waits, warm, for the word; yield what gives the word and waits for its end."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        env={**os.environ, **variables, "DJANGO_SETTINGS_MODULE": "project.settings"},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", f"{module} did not start"

        def go() -> None:
            process.communicate("go\n")
            assert process.returncode == 0, f"{module} failed"

        yield go
