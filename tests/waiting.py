"""The only place where tests wait: poll a condition until it holds, within a deadline."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

#: What happens at once on a quiet machine takes seconds on a busy one. Below the 30 s of a lease, and of a message that
#: is taken for lost: what happens only because they have run out has not happened by itself.
PATIENCE_SECONDS = 20.0

#: Between two looks, in seconds: short enough to cost a test nothing, long enough to leave the cores to the servers.
PAUSE_SECONDS = 0.02

#: Who waits for long looks less often, the pause being a twentieth of what has been waited for, up to this.
LONGEST_PAUSE_SECONDS = 0.06


class NotInTime(AssertionError):
    """A condition did not hold within its deadline."""


def wait_for(
    condition: Callable[[], T],
    deadline: float = PATIENCE_SECONDS,
    *,
    what: str = "",
    passing_over: tuple[type[Exception], ...] = (),
) -> T:
    """Return the first truthy value of `condition`; raise NotInTime with the last value after `deadline` seconds.

    Exceptions in `passing_over` count as "not yet"; any other one is raised at once.
    """
    began = time.monotonic()
    while True:
        try:
            value = condition()
            if value:
                return value
            last = f"last value: {value!r}"
        except passing_over as exc:
            last = f"last error: {exc!r}"
        waited = time.monotonic() - began
        if waited >= deadline:
            name = what or getattr(condition, "__qualname__", repr(condition))
            raise NotInTime(f"Waited {deadline:g} s for {name}; {last}")
        time.sleep(min(max(PAUSE_SECONDS, waited / 20), LONGEST_PAUSE_SECONDS))


def always(condition: Callable[[], object], seconds: float, *, what: str = "") -> None:
    """Watch `condition` for a while and raise AssertionError as soon as it no longer holds.

    For "nothing more happens": a fixed sleep looks once and says nothing about the time between.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if not value:
            name = what or getattr(condition, "__qualname__", repr(condition))
            raise AssertionError(f"{name} ceased to hold; value: {value!r}")
        time.sleep(PAUSE_SECONDS)


def paced(times: int, seconds: float) -> Iterator[int]:
    """Count `times` turns with a pause after each, as requests come to a site; nothing is waited for."""
    for turn in range(times):
        yield turn
        time.sleep(seconds)
