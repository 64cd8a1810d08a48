"""From figures to a page that says what was measured, how, on what machine."""

import os
import platform
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median

from bench.rounds import Figures
from bench.variants import OURS, Pool, Variant

#: All rounds' figures of each variant in each pool.
Results = Mapping[tuple[Pool, Variant], Sequence[Figures]]

#: The columns: what is shown, of which figure, with how many decimals.
COLUMNS: Sequence[tuple[str, Callable[[Figures], float], int]] = (
    ("enqueue, jobs/s", lambda figures: figures.enqueue_rate, 0),
    ("CPU s/1,000", lambda figures: figures.enqueue_cpu, 2),
    ("of it servers", lambda figures: figures.enqueue_servers, 2),
    ("run, jobs/s", lambda figures: figures.run_rate, 0),
    ("CPU s/1,000 ", lambda figures: figures.run_cpu, 2),
    ("of it servers ", lambda figures: figures.run_servers, 2),
    ("peak MB", lambda figures: figures.memory, 0),
    ("p50 ms", lambda figures: figures.p50, 1),
    ("p99 ms", lambda figures: figures.p99, 1),
)

INTRODUCTION = """# What `make bench` measured

No-op jobs, enqueued one by one. Ours: PostgreSQL, with every commit on the disk, and Valkey. Plain Celery: the same
Valkey, no database. The worker is held still while everything is enqueued; then it runs it all, timed from the first
body to the last. CPU is that of the enqueuing process, or of the worker with its children, together with the servers.
Latency is from the call to the body, at a modest rate. Variants alternate within each round; medians of all rounds.
"""


def report(results: Results, options: Namespace, versions: Mapping[str, str]) -> str:
    """Return the page: what was measured on what, a table for each pool, and ratios to ours."""
    parts = [INTRODUCTION, _circumstances(options, versions)]
    for pool in dict.fromkeys(pool for pool, _ in results):
        figures = {variant: rounds for (of, variant), rounds in results.items() if of is pool}
        parts += [f"## Pool {pool.title}", _table(figures), _ratios(figures)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _circumstances(options: Namespace, versions: Mapping[str, str]) -> str:
    packages = {name: version(name) for name in ("celery", "kombu", "redis", "django", "psycopg")}
    told = ", ".join(f"{name} {number}" for name, number in {**packages, **versions}.items())
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores, {platform.system()} {platform.machine()},"
        f" Python {platform.python_version()}; {told}.\n"
        f"{options.rounds} rounds of {options.jobs:,} jobs;"
        f" latency of {options.latency_jobs} jobs at {options.rate:g}/s."
    )


def _table(figures: Mapping[Variant, Sequence[Figures]]) -> str:
    head = "| | " + " | ".join(title for title, _, _ in COLUMNS) + " |\n|---|" + "---:|" * len(COLUMNS)
    rows = [
        f"| {variant.title} | "
        + " | ".join(f"{median(map(of, rounds)):,.{decimals}f}" for _, of, decimals in COLUMNS)
        + " |"
        for variant, rounds in figures.items()
    ]
    return "\n".join([head, *rows])


def _ratios(figures: Mapping[Variant, Sequence[Figures]]) -> str:
    """Return how ours compares, round by round: the machine's speed drifts, the ratio within a round less so."""
    ours = figures.get(OURS)
    if ours is None:
        return ""
    lines = [
        f"- {variant.title}: enqueue {_ratio(ours, rounds, lambda one: one.enqueue_rate)}x,"
        f" run {_ratio(ours, rounds, lambda one: one.run_rate)}x;"
        f" CPU {_ratio(ours, rounds, lambda one: one.enqueue_cpu)}x enqueueing,"
        f" {_ratio(ours, rounds, lambda one: one.run_cpu)}x running"
        for variant, rounds in figures.items()
        if variant is not OURS
    ]
    return "\n".join(["Ours divided by theirs, median of the rounds (for CPU less is better):", "", *lines])


def _ratio(ours: Sequence[Figures], theirs: Sequence[Figures], of: Callable[[Figures], float]) -> str:
    return f"{median(of(one) / of(other) for one, other in zip(ours, theirs, strict=True)):.2f}"
