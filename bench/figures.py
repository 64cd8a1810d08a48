"""What a scenario measures once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """Some jobs enqueued, or run.

    Attributes:
        jobs: how many.
        seconds: from the first call until the broker has all; or from the first body until the last outcome is kept.
        cpu, database, broker: CPU seconds of the enqueuing process, or of the worker with its children; of the servers.
        memory: most bytes the worker and its children had meanwhile, shared ones once; 0 where nobody looked.
    """

    jobs: int
    seconds: float
    cpu: float
    database: float
    broker: float
    memory: int = 0

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds

    @property
    def total(self) -> float:
        """CPU seconds per 1,000 jobs, servers included."""
        return self.per_thousand(self.cpu + self.database + self.broker)

    def per_thousand(self, seconds: float) -> float:
        """Return what these CPU seconds are for 1,000 jobs."""
        return seconds / self.jobs * 1000


@dataclass(frozen=True, slots=True)
class Latency:
    """Single jobs on an idle worker: milliseconds from the call to the body."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Idle:
    """A worker without jobs.

    Attributes:
        statements: that the database is told in a second; None where nobody counts.
        cpu: milliseconds of CPU in a second, of the worker with its children.
        told: the most frequent statements, each with how often in a second.
    """

    statements: float | None
    cpu: float
    told: tuple[tuple[float, str], ...] = ()


Figures = Work | Latency | Idle
