"""What is measured on a running worker: each scenario, and what its figures are figures of."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.figures import Figures
from bench.stage import Stage
from bench.variants import OURS, Variant

#: Jobs in one call of a bulk.
BULK = 1000

#: What one tenant's few jobs are to wait for little: so many of another's at most, and for each of a drain.
FLOOD, FLOOD_OF_A_JOB = 100_000, 20


class Case(StrEnum):
    """What one figure is of; the value is for people."""

    ENQUEUE = "enqueue, one by one"
    DRAIN = "drain, enqueued one by one"
    ENQUEUE_MANY = "enqueue, `delay_many`"
    DRAIN_MANY = "drain, `delay_many`"
    GUARDED = "drain, behind a breaker"
    LIMITED = "drain, behind a breaker and a limit by key"
    RETURNED = "drain, results kept"
    CHORD = "drain, one chord"
    RETRIED = "fail once, retried"
    DEAD = "fail for good"
    LATENCY = "latency"
    FETCH = "`.get()`"
    IDLE = "idle"
    CLAIMS = "claims"
    TURNS = "ten jobs of one tenant"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        jobs: of each drain.
        latency_jobs, rate: single jobs, and how many of them a second.
        idle_seconds: how long an idle worker is watched.
    """

    jobs: int
    latency_jobs: int
    rate: float
    idle_seconds: float


Measured = Iterator[tuple[Case, Figures]]


def _single(stage: Stage, scale: Scale) -> Measured:
    enqueued, drained = stage.drain("nothing", scale.jobs)
    yield Case.ENQUEUE, enqueued
    yield Case.DRAIN, drained


def _bulk(stage: Stage, scale: Scale) -> Measured:
    enqueued, drained = stage.drain("nothing", scale.jobs, at_once=BULK)
    yield Case.ENQUEUE_MANY, enqueued
    yield Case.DRAIN_MANY, drained


def _guarded(stage: Stage, scale: Scale) -> Measured:
    yield Case.GUARDED, stage.drain("guarded", scale.jobs)[1]
    yield Case.LIMITED, stage.drain("limited", scale.jobs)[1]


def _composed(stage: Stage, scale: Scale) -> Measured:
    yield Case.RETURNED, stage.drain("returns", scale.jobs)[1]
    yield Case.CHORD, stage.drain("chord", 2 * scale.jobs, at_once=2 * scale.jobs)[1]
    yield Case.FETCH, stage.fetch(scale.latency_jobs)


def _claims(stage: Stage, scale: Scale) -> Measured:
    if (took := stage.claims()) is not None:
        yield Case.CLAIMS, took


def _turns(stage: Stage, scale: Scale) -> Measured:
    yield Case.TURNS, stage.turns(min(FLOOD, FLOOD_OF_A_JOB * scale.jobs), at_once=BULK)


def _failing(stage: Stage, scale: Scale) -> Measured:
    # Each takes several times what a success does: fewer tell as much.
    jobs = max(1, scale.jobs // 5)
    yield Case.RETRIED, stage.drain("fails_once", jobs)[1]
    yield Case.DEAD, stage.drain("dies", jobs)[1]


def _latency(stage: Stage, scale: Scale) -> Measured:
    yield Case.LATENCY, stage.latency(scale.latency_jobs, scale.rate)


def _idle(stage: Stage, scale: Scale) -> Measured:
    yield Case.IDLE, stage.idle(scale.idle_seconds)


def _is_ours(variant: Variant) -> bool:
    return variant is OURS


def _fails(variant: Variant) -> bool:
    return variant.fails


def _is_any(variant: Variant) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is done with a worker, and by which variants it can be done."""

    name: str
    measure: Callable[[Stage, Scale], Measured]
    fits: Callable[[Variant], bool]
    #: Whether it is measured on the first setup alone: what it compares differs little by broker and pool.
    once: bool = False


#: In this order, on one worker: what leaves most behind comes last.
SCENARIOS: Sequence[Scenario] = (
    Scenario("single", _single, _is_any),
    Scenario("bulk", _bulk, _is_ours),
    Scenario("flow", _guarded, _is_ours, once=True),
    Scenario("compose", _composed, _is_ours, once=True),
    Scenario("latency", _latency, _is_any),
    Scenario("idle", _idle, _is_ours),
    Scenario("failing", _failing, _fails),
    Scenario("claims", _claims, _is_ours, once=True),
    Scenario("turns", _turns, _is_ours, once=True),
)


def measured(stage: Stage, variant: Variant, scenarios: Sequence[Scenario], scale: Scale) -> Measured:
    """Do what fits the variant of these scenarios, and give each figure when it is there."""
    for scenario in scenarios:
        if scenario.fits(variant):
            yield from scenario.measure(stage, scale)
