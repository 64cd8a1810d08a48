"""Faults of processes: workers are stopped, killed, and joined by one with older code."""

import os
import random
import signal

import psutil

from tests.chaos.faults.target import Target


def stop_worker(site: Target, rng: random.Random) -> str:
    """TERM, as a deploy does."""
    return _signal(site, rng, signal.SIGTERM)


def quit_worker(site: Target, rng: random.Random) -> str:
    """QUIT: a cold shutdown."""
    return _signal(site, rng, signal.SIGQUIT)


def kill_worker(site: Target, rng: random.Random) -> str:
    """KILL all processes of a worker at once, as a machine that is gone."""
    worker = site.any_worker(rng)
    if worker is None:
        return ""
    worker.kill()
    return f"KILL to all of {worker.name}"


def kill_parent(site: Target, rng: random.Random) -> str:
    """KILL a worker's main process and leave its children."""
    worker = site.any_worker(rng)
    if worker is None:
        return ""
    worker.kill_main()
    return f"KILL to the main process of {worker.name}"


def kill_child(site: Target, rng: random.Random) -> str:
    """KILL one process of a pool, as the kernel does when memory runs out."""
    worker = site.any_worker(rng)
    children = worker.children() if worker else []
    if worker is None or not children:
        return ""
    try:
        psutil.Process(rng.choice(children)).kill()
    except psutil.NoSuchProcess:
        return ""
    return f"KILL to a child of {worker.name}"


def run_older_code(site: Target, rng: random.Random) -> str:
    """Start a worker whose code lacks the tasks; it listens to their queues for a while, as amid a deploy."""
    seconds = rng.uniform(8, 15)
    worker = site.start_older_worker()
    if worker is None:
        return ""
    site.later.after(seconds, lambda: worker.signal(signal.SIGTERM))
    return f"{worker.name} runs older code for {seconds:.1f} s"


def _signal(site: Target, rng: random.Random, number: signal.Signals) -> str:
    worker = site.any_worker(rng)
    if worker is None:
        return ""
    os.kill(worker.pid, number)
    return f"{number.name.removeprefix('SIG')} to {worker.name}"
