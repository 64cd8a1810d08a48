"""What a limit would have done: the ledger's history, run again under it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.core.limits import Kind, Limit, waits
from jobs.core.states import State
from jobs.models import Job
from jobs.operations.wording import duration
from jobs.tasks.registry import names_of

#: At most so many jobs are looked at, the latest.
MOST = 100_000

_COLUMNS = {Kind.TASK: "task", Kind.QUEUE: "queue", Kind.KEY: "limit_key", Kind.TENANT: "tenant"}


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a limit would have done to jobs that have ended since a time. Durations in seconds.

    Attributes:
        jobs: how many there were.
        waited: how many of them would have waited.
        mean, longest: how long those would have waited.
    """

    jobs: int
    waited: int
    mean: float
    longest: float

    @property
    def words(self) -> str:
        """Return it as people read it."""
        if not self.waited:
            return f"None of {self.jobs:,} jobs would have waited."
        took = f"{duration(self.mean)} on average, {duration(self.longest)} at most"
        return f"{self.waited:,} of {self.jobs:,} jobs would have waited, {took}."

    def as_json(self) -> dict[str, Any]:
        """Return it for API and command line."""
        return {"jobs": self.jobs, "waited": self.waited, "mean_seconds": self.mean, "longest_seconds": self.longest}


def what_if(kind: Kind, name: str, limit: Limit, since: datetime) -> WhatIf:
    """Return what a limit would have done since a time, each key of a task apart where it has keys.

    A job counts from when it was due, with how long its last attempt ran: of earlier attempts the ledger keeps less.
    """
    ended = Job.objects.filter(
        state__in=[State.SUCCEEDED, State.DEAD], started_at__isnull=False, finished_at__gte=since
    )
    found = list(
        ended.filter(**{f"{_COLUMNS[kind]}__in": _names(kind, name)})
        .order_by("-finished_at")
        .values_list("limit_key", "run_at", "started_at", "finished_at")[:MOST]
    )
    by_key: dict[str | None, list[tuple[float, float]]] = {}
    for key, due, start, end in found:
        if start is not None and end is not None:
            own = key if kind == Kind.TASK else None
            by_key.setdefault(own, []).append((due.timestamp(), (end - start).total_seconds()))
    waited = [wait for jobs in by_key.values() for wait in waits(sorted(jobs), limit) if wait > 0.001]
    return WhatIf(
        sum(map(len, by_key.values())),
        len(waited),
        sum(waited) / len(waited) if waited else 0.0,
        max(waited, default=0.0),
    )


def _names(kind: Kind, name: str) -> list[str]:
    """Return the names that jobs may have it by: those of a task that was renamed, too."""
    if kind == Kind.TASK:
        return names_of(name)
    task, colon, key = name.partition(":")
    return [one + colon + key for one in names_of(task)] if kind == Kind.KEY else [name]
