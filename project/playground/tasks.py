"""Jobs that succeed, fail, are retried, wait for a limit, open a breaker, run as a chord, and take their time."""

import logging
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from jobs import Breaker, job, progress, step

if TYPE_CHECKING:
    from celery import Task

logger = logging.getLogger(__name__)

#: A dependency that is down at first, and back when it is asked again.
SERVICE = Breaker("playground", failures=3, pause=5)

#: So many stations has a long journey.
STATIONS = 20


class PlaygroundError(Exception):
    """What is wrong in the playground, on purpose."""


@job(name="playground.succeed")
def succeed(number: int) -> str:
    """Log a line, work for a moment, and succeed."""
    logger.info("Number %d begins to work.", number)
    time.sleep(random.uniform(0.1, 0.8))  # noqa: S311  (no secret)
    return f"number {number} is done"


@job(name="playground.fail", max_retries=1, retry_backoff=1)
def fail(number: int) -> None:
    """Fail, be tried again once, and become a dead letter."""
    logger.warning("Number %d is about to fail.", number)
    raise PlaygroundError("This never works: it was made so.")


@job(bind=True, name="playground.retry", max_retries=3, retry_backoff=1)
def retry(self: "Task[..., str]", number: int) -> str:
    """Fail twice, and succeed the third time."""
    if self.request.retries < 2:
        logger.warning("Number %d is not ready yet.", number)
        raise PlaygroundError("It is not ready yet; the third attempt is.")
    return f"number {number} needed three attempts"


@job(name="playground.limited", concurrency=2)
def limited(number: int) -> str:
    """Work for a second, two at a time over all workers; the others wait and say why."""
    time.sleep(1)
    return f"number {number} had its turn"


@job(bind=True, name="playground.call_service", breaker=SERVICE, max_retries=3, retry_backoff=1)
def call_service(self: "Task[..., str]", number: int) -> str:
    """Call a service that is down at first: the breaker opens, the others are held back until a probe succeeds."""
    if not self.request.retries:
        raise PlaygroundError("The service did not answer.")
    return f"number {number} was answered"


@job(name="playground.count")
def count(number: int) -> int:
    """Return the square of a number: one member of a chord."""
    time.sleep(0.2)
    return number * number


@job(name="playground.total", ignore_result=False)
def total(squares: list[int]) -> int:
    """Add up what the members of a chord have returned."""
    return sum(squares)


@job(name="playground.travel", time_limit=600)
def travel(seconds: float = 2.0) -> str:
    """Go through twenty stations, each a step: after a worker's death the journey goes on where it was."""
    for station in range(1, STATIONS + 1):
        step(f"station {station}", partial(_arrive, station, seconds))
        progress(station, STATIONS, f"station {station} of {STATIONS}")
    return "arrived"


def _arrive(station: int, seconds: float) -> Any:
    logger.info("Arriving at station %d.", station)
    time.sleep(seconds)
    return station
