"""What the limited jobs of the chaos suite are limited to, and whether that held, by what their bodies wrote down."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

from tests.chaos.journal import Effects, Journal, Run

#: How many may run at once, by kind: of each key, or of a queue (`JOBS_LIMITS`).
AT_ONCE = {"slotted": 2, "shared": 2}

#: How many of each key may begin in a second, and at one moment after a pause.
RATE, BURST = 6, 2

#: How much later than its claim a body may begin: what has not by then is taken back. In seconds.
BEGINS_WITHIN = 1.5

#: What the ledger's times are rounded to, in seconds.
ROUNDED = 0.002


def exceeded(journal: Journal, effects: Effects, starts: Mapping[str, Iterable[float]]) -> list[str]:
    """Return which limits did not hold, in words.

    Args:
        journal: whose kinds name each job's limit: a kind, and after a dot its key.
        effects: when bodies began and ended.
        starts: when attempts began by the ledger, in seconds, by label.
    """
    labels = defaultdict(list)
    for label, kind in journal.kinds.items():
        labels[kind].append(label)
    found = []
    for kind, those in sorted(labels.items()):
        name = kind.partition(".")[0]
        runs = [run for label in those for run in effects.runs.get(label, ())]
        if (most := most_at_once(runs)) > AT_ONCE.get(name, math.inf):
            found.append(f"{kind}: {most} at once")
        if name == "paced":
            begun = [at for label in those for at in starts.get(label, ())]
            bodies = [run.begin / 1e9 for run in runs]
            for what, times, slack in (("claims", begun, ROUNDED), ("bodies", bodies, BEGINS_WITHIN)):
                if early := too_early(times, slack):
                    found.append(f"{kind}: {early} {what} too early")
    return found


def most_at_once(runs: Iterable[Run]) -> int:
    """Return how many ran at once at most. One without an end counts for nothing: nobody knows how long it lived."""
    running = most = 0
    whole = [run for run in runs if run.end is not None]
    changes = [(run.begin, 1) for run in whole] + [(run.end or 0, -1) for run in whole]
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def too_early(times: Iterable[float], slack: float) -> int:
    """Return how many of these came before the rate allows, by more than `slack` seconds.

    The rule is the generic cell rate algorithm (ITU-T I.371), as `jobs.core.limits` has it.
    """
    interval, arrival, early = 1 / RATE, -math.inf, 0
    for time in sorted(times):
        early += time < arrival - (BURST - 1) * interval - slack
        arrival = max(arrival, time) + interval
    return early
