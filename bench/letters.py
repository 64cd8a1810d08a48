"""`python -m bench.letters`: what giving up costs beside a retry, and how fast dead letters are archived."""

import argparse
import logging
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from bench.servers import ROOT, Servers, scratch
from tests.jobs import verbs

if TYPE_CHECKING:
    from jobs.ledger.enqueue import NewJob

QUEUE = "bench"


def main() -> None:
    """Start the servers, measure in a process of ours, print two tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.letters", description=main.__doc__)
    parser.add_argument("--jobs", type=int, default=1_000, help="that end each way (default: %(default)s)")
    parser.add_argument("--letters", type=int, default=5_000, help="to archive (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        _measure(options)
        return
    with scratch() as directory, Servers(directory) as servers:
        subprocess.run(
            [sys.executable, "-m", "bench.letters", "--inside", *sys.argv[1:]],
            env={**os.environ, **servers.environment()},
            cwd=ROOT,
            check=True,
        )


def _measure(options: argparse.Namespace) -> None:
    import django  # noqa: PLC0415 (only inside has the settings)

    django.setup()
    logging.getLogger("jobs").setLevel(logging.WARNING)
    _giving_up(options.jobs, options.rounds)
    _archiving(options.letters, options.rounds)


def _giving_up(count: int, rounds: int) -> None:
    from jobs.core.outcome import Reason  # noqa: PLC0415
    from jobs.deadletters import publisher as deadletters  # noqa: PLC0415
    from jobs.ledger.attempts import Failure  # noqa: PLC0415

    failure = Failure("Broken", "it never works", "Traceback\n" * 20)
    ways: dict[str, Callable[[uuid.UUID, str], object]] = {
        "retry": lambda job_id, lease: verbs.retry(job_id, lease, 16, failure),
        "give up": lambda job_id, lease: deadletters.give_up(job_id, lease, Reason.EXHAUSTED, failure),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, end in ways.items():
            for job_id, lease in _running(count):
                began = time.perf_counter()
                end(job_id, lease)
                times[name].append(time.perf_counter() - began)
    print("| ending an attempt | ms, median | p95 |\n|---|---:|---:|")
    for name, taken in times.items():
        print(f"| {name} | {statistics.median(taken) * 1e3:.2f} | {statistics.quantiles(taken, n=20)[18] * 1e3:.2f} |")


def _running(count: int) -> list[tuple[uuid.UUID, str]]:
    """Return jobs that run, each under its lease."""
    from jobs.ledger.enqueue import insert_many  # noqa: PLC0415

    jobs = [_job() for _ in range(count)]
    insert_many(jobs)
    leases = [(job.id, uuid.uuid4().hex) for job in jobs]
    for job_id, lease in leases:
        verbs.claim(job_id, lease_id=lease, lease_seconds=3600, worker="bench")
    return leases


def _job() -> "NewJob":
    from uuid_utils.compat import uuid7  # noqa: PLC0415

    from jobs.ledger.enqueue import NewJob  # noqa: PLC0415

    return NewJob(uuid7(), "bench.broken", QUEUE, "[]", '{"user_id": "42"}', None, 5, 0)


def _archiving(count: int, rounds: int) -> None:
    from celery import current_app  # noqa: PLC0415

    import project  # noqa: F401, PLC0415 (makes the application current)
    from jobs.deadletters.archiver import Archiver  # noqa: PLC0415
    from jobs.deadletters.codec import dead_queue  # noqa: PLC0415
    from jobs.models import DeadLetter  # noqa: PLC0415

    app = current_app._get_current_object()  # noqa: SLF001
    app.amqp.queues.select_add(app.amqp.queues.new_missing(QUEUE))
    archiver, rates = Archiver(app), []
    while archiver.archive():
        """What the first table left behind."""
    for _ in range(rounds):
        DeadLetter.objects.all().delete()
        _post(count, dead_queue(QUEUE))
        began = time.perf_counter()
        while DeadLetter.objects.count() < count:
            archiver.archive()
        rates.append(count / (time.perf_counter() - began))
    archiver.close()
    print("\n| archiving | letters | letters/s, median | all rounds |\n|---|---:|---:|---|")
    print(
        f"| from Valkey | {count:,} | {statistics.median(rates):,.0f} | {', '.join(f'{rate:,.0f}' for rate in rates)} |"
    )


def _post(count: int, queue: str) -> None:
    from django.utils import timezone  # noqa: PLC0415

    from jobs.core.outcome import Reason  # noqa: PLC0415
    from jobs.deadletters import codec, publisher as deadletters  # noqa: PLC0415
    from jobs.ledger.attempts import Failure  # noqa: PLC0415

    failure = Failure("Broken", "it never works")
    for _ in range(count):
        letter = codec.from_job(_job(), 1, Reason.EXHAUSTED, failure, timezone.now())
        deadletters.send(queue, [letter.message])


if __name__ == "__main__":
    main()
