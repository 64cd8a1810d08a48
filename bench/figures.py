"""What a scenario measures once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Work:
    """Some jobs enqueued, or run.

    Attributes:
        jobs: how many.
        seconds: from the first call until the broker has all; or from the worker's release to the last outcome kept.
        cpu, database, broker: CPU seconds of the enqueuing process, or of the worker with its children; of the servers.
        parent: what of `cpu` is the worker's main process alone; 0 where jobs were enqueued.
        memory: most bytes the worker and its children had meanwhile, shared ones once; 0 where nobody looked.
    """

    jobs: int
    seconds: float
    cpu: float
    database: float
    broker: float
    parent: float = 0.0
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


@dataclass(frozen=True, slots=True)
class Fetch:
    """Results asked for before their jobs have ended: milliseconds from the body to whoever waits for them."""

    p50: float


@dataclass(frozen=True, slots=True)
class Claims:
    """What a statement took that claims a hundred jobs, in milliseconds.

    Attributes:
        plain, ruled: without the conditions of flow control, and with them.
        held: with them, beside a hundred thousand jobs that wait for one key.
    """

    plain: float
    ruled: float
    held: float


#: How long each job takes whose tenants take turns, in seconds: where they took none, latencies would be compared.
TURN_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Turns:
    """What ten jobs of one tenant took, from the first call to the last one's end, in milliseconds.

    Attributes:
        alone: where the worker had nothing else to do.
        beside: while another tenant's flood waits in the same queue.
        flood: how many jobs that is.
    """

    alone: float
    beside: float
    flood: int


Figures = Work | Latency | Idle | Fetch | Claims | Turns


def differences(ours: Sequence[Figures], theirs: Sequence[Figures], of: Callable[[Any], float]) -> list[float]:
    """Return how much more ours is than theirs, round by round."""
    return [of(one) - of(two) for one, two in zip(ours, theirs, strict=False)]


def ratios(ours: Sequence[Figures], theirs: Sequence[Figures], of: Callable[[Any], float]) -> list[float]:
    """Return what ours is divided by theirs, round by round: the machine's speed drifts, the ratio within a round less.

    Rounds in which theirs was too little for the clock, as CPU below its 10 ms can be, are left out.
    """
    pairs = [(of(one), of(two)) for one, two in zip(ours, theirs, strict=False)]
    return [one / two for one, two in pairs if two]
