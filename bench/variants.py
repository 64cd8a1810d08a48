"""What is compared with what."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """One way to run jobs.

    Attributes:
        name: for `--only`.
        title: for the report.
        app: what `celery --app` and DJANGO_SETTINGS_MODULE take.
        task: the module that has the task `nothing`.
        bulk: whether jobs are enqueued many at a time.
    """

    name: str
    title: str
    app: str
    settings: str
    task: str
    environment: Mapping[str, str] = field(default_factory=dict)
    bulk: bool = False


@dataclass(frozen=True, slots=True)
class Pool:
    """How a worker runs them."""

    name: str
    concurrency: int

    @property
    def title(self) -> str:
        """As on Celery's command line."""
        return f"{self.name} -c {self.concurrency}"

    @property
    def options(self) -> Sequence[str]:
        """What the worker's command line says of it; the log as Celery's guide has it, which is our default."""
        return "--pool", self.name, "--concurrency", str(self.concurrency), "--loglevel", "INFO"


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


def _plain(name: str, title: str, **environment: str) -> Variant:
    return Variant(name, title, "bench.plain", "bench.plain_settings", "bench.plain", environment)


OURS = Variant("ours", "Nightshift", "project", "project.settings", "bench.tasks", {"EXTRA_APPS": "bench"})
LATE = _plain("late", "Celery, acks_late", BENCH_ACKS_LATE="1")
EARLY = _plain("early", "Celery, early ack")
KEPT = _plain("kept", "Celery, acks_late, results in Valkey", BENCH_ACKS_LATE="1", BENCH_RESULTS="1")
BARE = _plain("bare", "Celery, early ack, no ack emulation", BENCH_CELERY=json.dumps(_OUR_SETTINGS))

VARIANTS = (OURS, LATE, KEPT, EARLY, BARE)
POOLS = (Pool("prefork", 2), Pool("threads", 8))
