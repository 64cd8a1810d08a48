"""What the acceptance tests of the engine share: settings that lose patience soon, gates, questions to the ledger."""

from collections.abc import Collection
from pathlib import Path

import psutil
import pytest
from django.db import InterfaceError, OperationalError

from jobs.core.states import FINAL
from jobs.models import Job
from tests.tasks_app.effects import Effects
from tests.waiting import wait_for

#: Nothing takes longer than a test may: a lease is lost after 4 s, a message after 2 s.
IMPATIENT = {
    "JOBS_LEASE_SECONDS": "4",
    "JOBS_LEASE_RENEW_SECONDS": "0.8",
    "JOBS_HOUSEKEEPING_SECONDS": "0.4",
    "JOBS_RESEND_SECONDS": "2",
    "JOBS_SHUTDOWN_SECONDS": "15",
}

#: Nobody may come to the rescue: what is handed back must not have waited for a lease or a lost message.
PATIENT = {"JOBS_LEASE_SECONDS": "300", "JOBS_RESEND_SECONDS": "300", "JOBS_HOUSEKEEPING_SECONDS": "0.4"}

#: Saves a worker a second at its start and its stop.
QUICK = ("--without-mingle", "--without-gossip", "--without-heartbeat")

#: Each pool on PostgreSQL, and one on SQLite: what differs between pools has little to do with the database.
some_houses = pytest.mark.parametrize(
    "database, pool",
    [("postgres", "prefork"), ("postgres", "threads"), ("sqlite", "prefork")],
    indirect=["database"],
)

#: Where what is tested has to do with neither: each pool once, and each database.
two_houses = pytest.mark.parametrize(
    "database, pool", [("postgres", "prefork"), ("sqlite", "threads")], indirect=["database"]
)
on_postgres = pytest.mark.parametrize("database", ["postgres"], indirect=True)
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

#: What the test's own connection says while a database is away.
AWAY = (OperationalError, InterfaceError)


def ended(*jobs: Job, seconds: float = 60) -> list[str]:
    """Wait until the jobs have ended, and return their states."""
    ids = [job.id for job in jobs]

    def all_ended() -> bool:
        return Job.objects.filter(id__in=ids, state__in=FINAL).count() == len(ids)

    wait_for(all_ended, seconds, what=f"{len(ids)} jobs to end: {jobs[0]}", passing_over=AWAY)
    return [Job.objects.get(id=job_id).state for job_id in ids]


def happened(effects: Effects, effect: str, times: int = 1, seconds: float = 40) -> None:
    """Wait until an effect happened so often."""
    wait_for(lambda: effects.count(effect) >= times, seconds, what=f"{effect!r} to happen {times} times")


def once_each(effects: Effects, names: Collection[str]) -> None:
    """Assert that each effect happened exactly once."""
    assert {name: count for name in names if (count := effects.count(name)) != 1} == {}


def are_gone(pids: Collection[int]) -> bool:
    """Whether none of these processes lives."""
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


class Gate:
    """A file that lets waiting tasks pass when it is there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> None:
        """Let pass whoever waits."""
        self.path.touch()
