"""What every worker does besides its own maintenance, by rooms that stand after this one.

A module of its own: who registers a duty, as a web process does too, need not load the worker.
"""

from collections.abc import Callable

#: What is done besides by rooms that stand after this one: each one's name, what it does, and how often.
registered: list[tuple[str, Callable[[], bool], float]] = []


def register_duty(name: str, run: Callable[[], bool], every: float) -> None:
    """Have every worker do something regularly, in a thread that delays nothing else. Called when Django is ready.

    Args:
        name: for logs.
        run: does it; returns whether there is more to do at once.
        every: seconds between two runs.
    """
    registered.append((name, run, every))
