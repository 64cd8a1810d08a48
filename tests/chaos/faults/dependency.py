"""Faults of what jobs need besides database and broker."""

import random

from tests.chaos.faults.target import Target
from tests.chaos.journal import AWAY


def take_dependency_away(site: Target, rng: random.Random) -> str:
    """Let what some jobs need fail for a while, for long enough that its breaker opens."""
    seconds = rng.uniform(1, 5)
    away = site.directory / AWAY
    away.touch()
    site.later.after(seconds, lambda: away.unlink(missing_ok=True))
    return f"what jobs need away for {seconds:.1f} s"
