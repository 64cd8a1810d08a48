"""The overview's charts as numbers for an SVG: bars of what was done, lines of how long it waited. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.reports.throughput import Step

#: The box that a chart is drawn in; the page stretches it.
WIDTH, HEIGHT = 960.0, 120.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One step: where it stands, and how high each part of it is, from the bottom up."""

    step: Step
    x: float
    width: float
    parts: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """What a template draws.

    Attributes:
        top: the value at the upper edge.
        bars: for hovering in every chart; with parts where there is something to draw.
        lines: for each line its name and path.
        ticks: times to be written below, and where, in percent.
    """

    top: float
    bars: tuple[Bar, ...]
    lines: tuple[tuple[str, str], ...]
    ticks: tuple[tuple[float, datetime], ...]

    @property
    def empty(self) -> bool:
        """Whether nothing ended in all that time."""
        return not any(bar.step.total for bar in self.bars)


def throughput_chart(steps: Sequence[Step]) -> Chart:
    """Return the bars of what ended in each step, what went wrong on top."""
    top = ceiling(max((step.total for step in steps), default=0))
    bars = tuple(_bar(step, index, len(steps), top) for index, step in enumerate(steps))
    return Chart(top, bars, (), _ticks(steps))


def wait_chart(steps: Sequence[Step]) -> Chart:
    """Return the lines of the median wait and of the one that 95 of 100 did not exceed."""
    top = ceiling(max((step.wait_p95 or 0 for step in steps), default=0))
    bars = tuple(_bar(step, index, len(steps), 0) for index, step in enumerate(steps))
    p95 = _path([step.wait_p95 for step in steps], top)
    median = _path([step.wait_median for step in steps], top)
    return Chart(top, bars, (("p95", p95), ("median", median)), _ticks(steps))


def ceiling(value: float) -> float:
    """Return the next round number: 1, 2 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(round(factor * power, 9) for factor in (1, 2, 5, 10) if factor * power >= value * (1 - 1e-9))


def _bar(step: Step, index: int, count: int, top: float) -> Bar:
    slot = WIDTH / count
    gap = min(2.0, slot * 0.2)
    parts, y = [], HEIGHT
    for name, value in (("succeeded", step.succeeded), ("cancelled", step.cancelled), ("dead", step.dead)):
        if not (value and top):
            continue
        # What went wrong is seen, however much went well.
        height = max(HEIGHT * value / top, 2.0)
        y = max(y - height, 0.0)
        parts.append((name, round(y, 2), round(height, 2)))
    return Bar(step, round(index * slot + gap / 2, 2), round(slot - gap, 2), tuple(parts))


def _path(values: Sequence[float | None], top: float) -> str:
    slot = WIDTH / len(values)
    commands: list[str] = []
    previous: float | None = None
    for index, value in enumerate(values):
        if value is not None:
            x, y = round((index + 0.5) * slot, 2), round(HEIGHT - HEIGHT * min(value / top, 1), 2)
            following = values[index + 1] if index + 1 < len(values) else None
            # A step alone between empty ones is a dash, not nothing.
            start = x - slot / 3 if previous is None and following is None else x
            commands.append(f"{'L' if previous is not None else 'M'}{start:g} {y:g}")
            if previous is None and following is None:
                commands.append(f"L{x + slot / 3:g} {y:g}")
        previous = value
    return " ".join(commands)


def _ticks(steps: Sequence[Step]) -> tuple[tuple[float, datetime], ...]:
    every = max(len(steps) // 4, 1)
    return tuple(
        (round(100 * index / len(steps), 2), steps[index].start) for index in range(0, len(steps), every) if steps
    )
