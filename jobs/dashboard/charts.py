"""The overview's charts as numbers for an SVG: bars of what was done, lines of how long it waited. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.reports.throughput import Step

#: The box that a chart is drawn in; the page stretches it.
WIDTH, HEIGHT = 960.0, 132.0

#: What the axis of waits is marked with: powers of ten, in seconds.
MARKS = (
    *((0.001, "1 ms"), (0.01, "10 ms"), (0.1, "0.1 s"), (1.0, "1 s"), (10.0, "10 s"), (100.0, "100 s")),
    *((1e3, "17 min"), (1e4, "3 h"), (1e5, "28 h"), (1e6, "12 days"), (1e7, "116 days")),
)


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
        marks: lines across it, from the bottom up: how high, and what they stand for.
        bars: for hovering in every chart; with parts where there is something to draw.
        lines: for each line its name and path.
        ticks: times to be written below, and where, in percent.
    """

    marks: tuple[tuple[float, str], ...]
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
    # Half a job is none.
    half = f"{top / 2:,g}" if top % 2 == 0 else ""
    marks = ((HEIGHT, "0"), (HEIGHT / 2, half), (0.0, f"{top:,g}"))
    return Chart(marks, bars, (), _ticks(steps))


def wait_chart(steps: Sequence[Step]) -> Chart:
    """Return the lines of the median wait and of the one that 95 of 100 did not exceed, on a scale of powers of ten.

    Waits reach from milliseconds to hours, and the short ones matter no less.
    """
    bars = tuple(_bar(step, index, len(steps), 0) for index, step in enumerate(steps))
    waits = [wait for step in steps for wait in (step.wait_median, step.wait_p95) if wait]
    first, last = _reach(min(waits, default=0.01), max(waits, default=1.0))
    marks = MARKS[first : last + 1]

    def height(wait: float) -> float:
        low, high = math.log(marks[0][0]), math.log(marks[-1][0])
        return HEIGHT * (1 - min(max((math.log(max(wait, 1e-9)) - low) / (high - low), 0), 1))

    lines = (
        ("p95", _path([step.wait_p95 for step in steps], height)),
        ("median", _path([step.wait_median for step in steps], height)),
    )
    return Chart(tuple((round(height(at), 2), label) for at, label in marks), bars, lines, _ticks(steps))


def _reach(least: float, most: float) -> tuple[int, int]:
    """Return the marks between which all waits lie, three of them at least."""
    first = max((index for index, (at, _) in enumerate(MARKS) if at <= least), default=0)
    last = min((index for index, (at, _) in enumerate(MARKS) if at >= most), default=len(MARKS) - 1)
    first = min(first, len(MARKS) - 3)
    return first, max(last, first + 2)


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


def _path(values: Sequence[float | None], height: Callable[[float], float]) -> str:
    slot = WIDTH / len(values)
    commands: list[str] = []
    drawing = False
    for index, value in enumerate(values):
        if value is not None:
            x, y = round((index + 0.5) * slot, 2), round(height(value), 2)
            alone = not drawing and (index + 1 == len(values) or values[index + 1] is None)
            # A step alone between empty ones is a dash, not nothing.
            commands += [f"M{x - slot / 3:g} {y:g}", f"L{x + slot / 3:g} {y:g}"] if alone else []
            commands += [] if alone else [f"{'L' if drawing else 'M'}{x:g} {y:g}"]
        drawing = value is not None
    return " ".join(commands)


def _ticks(steps: Sequence[Step]) -> tuple[tuple[float, datetime], ...]:
    every = max(len(steps) // 4, 1)
    return tuple(
        (round(100 * index / len(steps), 2), steps[index].start) for index in range(0, len(steps), every) if steps
    )
