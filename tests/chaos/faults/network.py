"""Faults of the network between the processes and their servers."""

import random
import time

from tests.chaos.faults.target import Target


def cut_connections(site: Target, rng: random.Random) -> str:
    """Cut every connection to the database or to the broker."""
    name = rng.choice(sorted(site.proxies))
    return f"cut {site.proxies[name].cut()} connections to the {name}"


def hold_half_open(site: Target, rng: random.Random) -> str:
    """Let a network drop everything for a while, then cut it."""
    name, seconds = rng.choice(sorted(site.proxies)), rng.uniform(0.5, 4)
    site.proxies[name].fall_silent()
    time.sleep(seconds)
    site.proxies[name].speak()
    return f"{name} silent for {seconds:.1f} s"
