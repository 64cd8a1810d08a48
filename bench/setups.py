"""On what it is measured: a broker, a database and a pool; and every figure of a run by where and what it is of."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench.brokers import BROKERS
from bench.databases import DATABASES
from bench.figures import Figures
from bench.scenarios import Case
from bench.variants import Pool, Variant

F = TypeVar("F", bound=Figures)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker stands on, by names of `bench.brokers` and `bench.databases`."""

    broker: str
    database: str
    pool: Pool

    @property
    def title(self) -> str:
        """For people."""
        return f"{BROKERS[self.broker].title}, {DATABASES[self.database].title}, {self.pool.title}"


class Results:
    """All rounds' figures, in the order in which they were measured."""

    def __init__(self) -> None:
        self._figures: defaultdict[tuple[Setup, Variant, Case], list[Figures]] = defaultdict(list)

    def add(self, setup: Setup, variant: Variant, case: Case, figures: Figures) -> None:
        """Take in what one round measured."""
        self._figures[setup, variant, case].append(figures)

    def of(self, setup: Setup, variant: Variant, case: Case, kind: type[F]) -> Sequence[F]:
        """Return the rounds' figures; none where it was not measured, or they are of another kind."""
        return [figures for figures in self._figures.get((setup, variant, case), ()) if isinstance(figures, kind)]

    def setups(self) -> Sequence[Setup]:
        """Return where something was measured."""
        return list(dict.fromkeys(setup for setup, _, _ in self._figures))

    def variants(self) -> Sequence[Variant]:
        """Return who was measured."""
        return list(dict.fromkeys(variant for _, variant, _ in self._figures))
