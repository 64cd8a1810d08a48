"""What the engine is to reach: every bar with its bound, judged by the figures of a run."""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.figures import Claims, Fetch, Figures, Idle, Latency, Turns, Work, differences, ratios
from bench.scenarios import Case
from bench.setups import Results, Setup
from bench.variants import DRAMATIQ, LATE, OURS, Variant

_RATE: Callable[[Any], float] = operator.attrgetter("rate")
_CPU: Callable[[Any], float] = operator.attrgetter("total")


@dataclass(frozen=True, slots=True)
class Bar:
    """One bound.

    Attributes:
        title: what is judged.
        case, kind, figure: which of our figures.
        beside: whose figure ours is compared with, and of which case; None: it stands for itself.
        compared: the comparison, round by round.
        bound, least: how much it must be at least, or may be at most.
        unit: of the figure.
        fits: where it applies.
    """

    title: str
    case: Case
    kind: type[Figures]
    figure: Callable[[Any], float]
    beside: tuple[Variant, Case] | None
    bound: float
    least: bool
    unit: str
    fits: Callable[[Setup], bool]
    compared: Callable[[Sequence[Figures], Sequence[Figures], Callable[[Any], float]], list[float]] = ratios

    def value(self, results: Results, setup: Setup) -> float | None:
        """Return the median of the rounds; None where something it needs was not measured."""
        ours = results.of(setup, OURS, self.case, self.kind)
        if self.beside is None:
            values = [self.figure(one) for one in ours]
        else:
            values = self.compared(ours, results.of(setup, *self.beside, self.kind), self.figure)
        return median(values) if values else None

    def met(self, value: float) -> bool:
        """Return whether the value is within the bound."""
        return value >= self.bound if self.least else value <= self.bound

    @property
    def rule(self) -> str:
        """The bound for people."""
        return f"{'≥' if self.least else '≤'} {self.bound:,g}{self.unit}"


def _usual(setup: Setup) -> bool:
    return (setup.broker, setup.database) == ("valkey", "postgresql")


def _usual_prefork(setup: Setup) -> bool:
    return _usual(setup) and setup.pool.name == "prefork"


def _embedded(setup: Setup) -> bool:
    return (setup.broker, setup.database, setup.pool.name) == ("ledger", "sqlite", "prefork")


def _ratio(title: str, case: Case, beside: tuple[Variant, Case], *, faster: float, cheaper: float) -> Iterator[Bar]:
    """Give a bar for jobs a second, and one for CPU with the servers' where there is a bound."""
    yield Bar(f"{title}: jobs/s", case, Work, _RATE, beside, faster, least=True, unit="x", fits=_usual)
    if cheaper:
        yield Bar(f"{title}: CPU", case, Work, _CPU, beside, cheaper, least=False, unit="x", fits=_usual)


def _bars() -> Iterator[Bar]:
    late = "beside Celery acks_late"
    yield from _ratio(f"{Case.DRAIN}, {late}", Case.DRAIN, (LATE, Case.DRAIN), faster=4, cheaper=0.35)
    yield from _ratio(f"{Case.DRAIN_MANY}, {late}", Case.DRAIN_MANY, (LATE, Case.DRAIN), faster=10, cheaper=0.2)
    for case, bound in ((Case.DRAIN, 1.0), (Case.DRAIN_MANY, 2.0)):
        yield from _ratio(f"{case}, beside Dramatiq", case, (DRAMATIQ, Case.DRAIN), faster=bound, cheaper=0)
    plain = "beside plain Celery one by one"
    yield from _ratio(f"{Case.ENQUEUE_MANY}, {plain}", Case.ENQUEUE_MANY, (LATE, Case.ENQUEUE), faster=15, cheaper=0)
    yield from _ratio(f"{Case.ENQUEUE}, {plain}", Case.ENQUEUE, (LATE, Case.ENQUEUE), faster=1, cheaper=0.7)
    yield Bar("SQLite ledger: jobs/s", Case.DRAIN, Work, _RATE, None, 2000, least=True, unit="/s", fits=_embedded)
    yield Bar("SQLite ledger: CPU per 1,000", Case.DRAIN, Work, _CPU, None, 0.4, least=False, unit=" s", fits=_embedded)
    title, memory = f"memory of a worker, {late}", operator.attrgetter("memory")
    yield Bar(title, Case.DRAIN, Work, memory, (LATE, Case.DRAIN), 1.3, least=False, unit="x", fits=_usual_prefork)
    for name, bound in (("p50", 1.2), ("p99", 1.5)):
        figure = operator.attrgetter(name)
        beside = LATE, Case.LATENCY
        yield Bar(
            f"latency {name}, {late}", Case.LATENCY, Latency, figure, beside, bound, least=False, unit="x", fits=_usual
        )
    for case in (Case.RETRIED, Case.DEAD):
        yield Bar(
            f"{case}: CPU beside a success",
            case,
            Work,
            _CPU,
            (OURS, Case.DRAIN),
            1.3,
            least=False,
            unit="x",
            fits=_usual,
        )
    beside = OURS, Case.DRAIN
    yield Bar(
        f"{Case.GUARDED}: CPU beside none",
        Case.GUARDED,
        Work,
        _CPU,
        beside,
        1.2,
        least=False,
        unit="x",
        fits=_usual_prefork,
    )
    yield from _of_flow()
    yield from _of_composition()
    yield Bar("idle worker: statements", Case.IDLE, Idle, _statements, None, 2, least=False, unit="/s", fits=_usual)


def _of_flow() -> Iterator[Bar]:
    """Give the bars of flow control: free while unused, cheap while used, in nobody else's way."""
    beside, what = (OURS, Case.DRAIN), f"{Case.LIMITED}: CPU more than none, per 1,000"
    yield Bar(
        what, Case.LIMITED, Work, _CPU, beside, 0.15, least=False, unit=" s", fits=_usual_prefork, compared=differences
    )
    for title, bound, figure in (
        ("claim with no option used, beside one that knows of none", 1.02, _ruled),
        ("claim beside 100,000 jobs held by one key", 1.05, _held),
    ):
        yield Bar(title, Case.CLAIMS, Claims, figure, None, bound, least=False, unit="x", fits=_usual_prefork)
    title = f"{Case.TURNS} beside another's flood: their time beside their time alone"
    yield Bar(title, Case.TURNS, Turns, _shared, None, 2, least=False, unit="x", fits=_usual_prefork)


def _ruled(claims: Claims) -> float:
    return claims.ruled / claims.plain


def _held(claims: Claims) -> float:
    return claims.held / claims.ruled


def _shared(turns: Turns) -> float:
    return turns.beside / turns.alone


def _of_composition() -> Iterator[Bar]:
    """Give the bars of chords and results."""
    beside = OURS, Case.DRAIN
    for case, bound in ((Case.CHORD, 1.3), (Case.RETURNED, 1.2)):
        what = f"{case}: CPU beside single jobs"
        yield Bar(what, case, Work, _CPU, beside, bound, least=False, unit="x", fits=_usual_prefork)
    figure = operator.attrgetter("p50")
    yield Bar(f"{Case.FETCH} p50", Case.FETCH, Fetch, figure, None, 20, least=False, unit=" ms", fits=_usual_prefork)


def _statements(idle: Idle) -> float:
    return idle.statements or 0.0


BARS: Sequence[Bar] = tuple(_bars())


def is_judged(setup: Setup) -> bool:
    """Return whether there are bars for what is measured there."""
    return any(bar.fits(setup) for bar in BARS)


def missed(results: Results) -> list[str]:
    """Return the titles of the bars that were measured and are not met."""
    judged = ((bar, bar.value(results, setup)) for bar in BARS for setup in filter(bar.fits, results.setups()))
    return [bar.title for bar, value in judged if value is not None and not bar.met(value)]


def table(results: Results) -> str:
    """Return the table of all bars that apply where something was measured; empty where none does."""
    lines = []
    for bar in BARS:
        for setup in filter(bar.fits, results.setups()):
            value = bar.value(results, setup)
            shown, verdict = ("-", "not measured") if value is None else _judged(bar, value)
            lines.append(f"| {bar.title} | {setup.title} | {bar.rule} | {shown} | {verdict} |")
    head = ["| bar | on | bound | measured | |", "|---|---|---:|---:|---|"]
    return "\n".join([*head, *lines]) if lines else ""


def _judged(bar: Bar, value: float) -> tuple[str, str]:
    return f"{value:,.{0 if value >= 100 else 2}f}{bar.unit}", "met" if bar.met(value) else "**not met**"
