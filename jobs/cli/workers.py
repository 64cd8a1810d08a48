"""`workers`, `probe`."""

import os
import socket
from argparse import ArgumentParser

from django.utils import timezone

from jobs.cli import filters
from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Given, Verb
from jobs.models import Worker
from jobs.reports import workers
from jobs.reports.report_json import worker_json
from jobs.worker.heartbeat import GONE_AFTER


def _workers_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--alive", action="store_true", help="leave out those that stopped or went silent")


def _workers(given: Given, out: Output) -> Exit:
    found = list(workers.alive() if given["alive"] else workers.recent())
    out.json({"workers": [worker_json(worker) for worker in found]})
    out.table(
        ["worker", "is", "pool", "busy>", "memory>", "since", "seen", "queues", "connections"],
        [
            [
                worker.name,
                workers.presence(worker).value,
                worker.pool,
                f"{worker.running}/{worker.concurrency}",
                f"{worker.memory_bytes / 1024**2:,.0f} MB",
                worker.started_at,
                worker.seen_at,
                ", ".join(worker.queues),
                _connections(worker),
            ]
            for worker in found
        ],
        empty="No worker has been seen in the last hour. Start one: celery -A project worker",
    )
    return Exit.DONE


def _connections(worker: Worker) -> str:
    """Return how a worker's connections are; of one that is not there nobody knows."""
    if workers.presence(worker) is not workers.Presence.ALIVE:
        return ""
    return ", ".join(f"{name} {one.get('state')}" for name, one in worker.connections.items())


def _probe_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--name", default=os.environ.get("WORKER_NAME", ""), help="the worker's node name; else any on this host"
    )
    parser.add_argument(
        "--max-age",
        type=filters.number(1, 3600),
        default=int(GONE_AFTER * 3),
        metavar="SECONDS",
        help=f"how long ago it may have been seen ({GONE_AFTER * 3:.0f})",
    )


def _probe(given: Given, out: Output) -> Exit:
    """Say whether the worker of this container lives: whether it has lately written so.

    While the database is away no worker can: give an orchestrator's probe more patience than a fail-over takes.
    """
    named = {"name": given["name"]} if given["name"] else {"host": socket.gethostname()}
    worker = Worker.objects.filter(**named, stopped_at=None).order_by("-seen_at").first()
    if worker is None:
        raise Failed(f"No worker has signed on as {named}.")
    age = (timezone.now() - worker.seen_at).total_seconds()
    out.json({"name": worker.name, "seconds": age, "alive": age <= given["max_age"]})
    if age > given["max_age"]:
        raise Failed(f"Worker {worker.name} was last seen {age:.0f} s ago; at most {given['max_age']} s are allowed.")
    out.line(f"Worker {worker.name} was seen {age:.0f} s ago.")
    return Exit.DONE


VERBS = [
    Verb(("workers",), "list the workers", _workers, _workers_arguments),
    Verb(("probe",), "fail unless a worker of this host is alive, for containers", _probe, _probe_arguments),
]
