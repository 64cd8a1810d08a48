"""What is compared with what."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pool:
    """How a worker runs its jobs."""

    name: str
    concurrency: int

    @property
    def title(self) -> str:
        """As on Celery's command line."""
        return f"{self.name} -c {self.concurrency}"


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """One way to run jobs, by Celery's worker.

    Attributes:
        name: for `--only`.
        title: for the report.
        side: the module with the tasks, see `bench.enqueue`.
        app: what `celery --app` takes.
        settings: what DJANGO_SETTINGS_MODULE takes; empty: there is no Django.
        brokers: those it can use, of `bench.brokers`.
        durability: what is lost when.
        environment: variables of its own.
    """

    name: str
    title: str
    side: str
    app: str
    settings: str
    brokers: Sequence[str]
    durability: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def uses_database(self) -> bool:
        """Whether what becomes of a job is kept in the database of the run."""
        return self.settings == "project.settings"

    @property
    def python(self) -> str:
        """The interpreter that has its packages."""
        return sys.executable

    def worker(self, pool: Pool) -> Sequence[object]:
        """Return the arguments of the interpreter that start a worker; its log as Celery's guide has it."""
        options = ("--pool", pool.name, "--concurrency", pool.concurrency, "--loglevel", "INFO")
        return "-m", "celery", "--app", self.app, "worker", *options


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
    return Variant(name, title, "bench.plain", "bench.plain", "bench.plain_settings", brokers, durability, environment)


OURS = Variant(
    "ours",
    "Nightshift",
    "bench.tasks",
    "project",
    "project.settings",
    ("valkey", "rabbitmq", "ledger"),
    "Every job is a committed row before the call returns; nothing is lost with the broker or a worker.",
    {"EXTRA_APPS": "bench"},
)
LATE = _plain(
    "late",
    "Celery, acks_late",
    "Acknowledged when done: a killed worker's tasks run again, on Valkey after an hour. Lost with a wiped broker.",
    BENCH_ACKS_LATE="1",
)
EARLY = _plain(
    "early",
    "Celery, early ack",
    "Acknowledged when begun: what a killed worker ran is lost, and with a wiped broker all.",
)
KEPT = _plain(
    "kept", "Celery, acks_late, results in Valkey", "As acks_late.", ("valkey",), BENCH_ACKS_LATE="1", BENCH_RESULTS="1"
)
BARE = _plain(
    "bare",
    "Celery, early ack, no ack emulation",
    "What a killed worker fetched is lost. Lost with a wiped broker.",
    ("valkey",),
    BENCH_CELERY=json.dumps(_OUR_SETTINGS),
)

VARIANTS: tuple[Variant, ...] = (OURS, LATE, EARLY, KEPT, BARE)
#: Measured where nobody says otherwise.
USUAL = (OURS, LATE, EARLY)

POOLS = (Pool("prefork", 2), Pool("threads", 8))
