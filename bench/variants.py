"""What is compared with what."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench import peers


@dataclass(frozen=True, slots=True)
class Pool:
    """How a worker runs its jobs."""

    name: str
    concurrency: int

    @property
    def title(self) -> str:
        """As on Celery's command line."""
        return f"{self.name} -c {self.concurrency}"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Variant:
    """One way to run jobs.

    Attributes:
        name: for `--only`.
        title: for the report.
        side: the module with the tasks, see `bench.enqueue`.
        worker: gives the arguments of the interpreter that start a worker.
        brokers: those it can use, of `bench.brokers`.
        settings: how it is set up.
        durability: what is lost when.
        python: the interpreter that has its packages.
        fails: whether its side has the tasks that fail.
        keeps_outcomes: whether what becomes of each job is in the database of the run.
        environment: variables of its own.
    """

    name: str
    title: str
    side: str
    worker: Callable[[Pool], Sequence[object]]
    brokers: Sequence[str]
    settings: str
    durability: str
    python: Path = Path(sys.executable)
    fails: bool = True
    keeps_outcomes: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


class VariantFailed(Exception):
    """A process of a variant ended, or did not do in time what it was given; the message says more."""


def _celery(app: str, pool: Pool) -> Sequence[object]:
    """Return Celery's worker with the pool; its log as Celery's guide has it, which is our default."""
    options = ("--pool", pool.name, "--concurrency", pool.concurrency, "--loglevel", "INFO")
    return "-m", "celery", "--app", app, "worker", *options


def _dramatiq(pool: Pool) -> Sequence[object]:
    """Return Dramatiq's worker: its guide has a process for each core, with the eight threads of its default."""
    processes, threads = (pool.concurrency, 8) if pool.name == "prefork" else (1, pool.concurrency)
    return "-m", "dramatiq", "bench.peers.on_dramatiq", "--processes", processes, "--threads", threads


def _huey(pool: Pool) -> Sequence[object]:
    """Return Huey's consumer: its guide has processes for what computes, threads where in doubt."""
    kind = "process" if pool.name == "prefork" else "thread"
    return "-m", "huey.bin.huey_consumer", "bench.peers.on_huey.huey", "-k", kind, "-w", pool.concurrency


#: Everything of `jobs.celery` that a plain application can have too.
_OUR_SETTINGS = {
    "task_ignore_result": True,
    "broker_transport_options": {
        "ack_emulation": False,
        "priority_steps": list(range(10)),
        "socket_connect_timeout": 5,
        "socket_timeout": 10,
        "socket_keepalive": True,
        "health_check_interval": 10,
    },
}


def _plain(
    name: str, title: str, durability: str, brokers: Sequence[str] = ("valkey", "rabbitmq"), **environment: str
) -> Variant:
    return Variant(
        name=name,
        title=title,
        side="bench.plain",
        worker=partial(_celery, "bench.plain"),
        brokers=brokers,
        settings="A Django project with as many apps as ours, set up as Celery's guide has it.",
        durability=durability,
        environment={"DJANGO_SETTINGS_MODULE": "bench.plain_settings", **environment},
    )


OURS = Variant(
    name="ours",
    title="Nightshift",
    side="bench.tasks",
    worker=partial(_celery, "project"),
    brokers=("valkey", "rabbitmq", "ledger"),
    settings="As in production.",
    durability="Each job is a committed row when the call returns, and its outcome is one; a lost broker loses none.",
    keeps_outcomes=True,
    environment={"DJANGO_SETTINGS_MODULE": "project.settings", "EXTRA_APPS": "bench"},
)
LATE = _plain(
    "late",
    "Celery, acks_late",
    "Acknowledged when done: what a killed worker ran runs again, on Valkey after an hour. Lost with the broker.",
    BENCH_ACKS_LATE="1",
)
EARLY = _plain(
    "early",
    "Celery, early ack",
    "Acknowledged when begun: what a killed worker ran is lost. Lost with the broker.",
)
KEPT = _plain(
    "kept",
    "Celery, acks_late, results in Valkey",
    "As acks_late; outcomes are lost with the broker too.",
    ("valkey",),
    BENCH_ACKS_LATE="1",
    BENCH_RESULTS="1",
)
BARE = _plain(
    "bare",
    "Celery, early ack, no ack emulation",
    "What a killed worker had fetched is lost. Lost with the broker.",
    ("valkey",),
    BENCH_CELERY=json.dumps(_OUR_SETTINGS),
)

#: Whatever the shell says: the peers have no Django.
_WITHOUT_DJANGO = {"DJANGO_SETTINGS_MODULE": ""}

DRAMATIQ = Variant(
    name="dramatiq",
    title="Dramatiq",
    side="bench.peers.on_dramatiq",
    worker=_dramatiq,
    brokers=("valkey", "rabbitmq"),
    settings="Its defaults, as its guide has it: a process for each of prefork's, with eight threads; no results.",
    durability="Acknowledged when done: what a killed worker ran runs again, on Valkey after a minute. RabbitMQ"
    " confirms nothing to the caller. No outcome is kept. Lost with the broker.",
    python=peers.PYTHON,
    fails=False,
    environment=_WITHOUT_DJANGO,
)
HUEY = Variant(
    name="huey",
    title="Huey",
    side="bench.peers.on_huey",
    worker=_huey,
    brokers=("valkey", "ledger"),
    settings="Its defaults, as its guide has it: `-k process` for prefork, `-k thread` for threads.",
    durability="Taken off the queue when begun: what a killed worker ran is lost. No outcome is kept. Lost with the"
    " broker. Where ours needs none it uses the database too, with every commit on the disk.",
    python=peers.PYTHON,
    fails=False,
    environment=_WITHOUT_DJANGO,
)

#: In environments of their own.
PEERS = (DRAMATIQ, HUEY)
VARIANTS: Sequence[Variant] = (OURS, LATE, EARLY, KEPT, BARE, *PEERS)
#: Measured where nobody says otherwise.
USUAL: Sequence[Variant] = (OURS, LATE)

POOLS = (Pool("prefork", 2), Pool("threads", 8))
