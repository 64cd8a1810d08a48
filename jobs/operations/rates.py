"""How often one caller may ask, and submit jobs of one task: counted in the cache, in windows of fixed length."""

import logging
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError

from jobs.conf import conf
from jobs.core.public_rate import PublicRate
from jobs.operations.problems import Problem
from jobs.tasks.task import JobTask

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a caller has left in this minute."""

    limit: int
    left: int
    resets_in: int

    def headers(self) -> dict[str, str]:
        """Return it as the answer says it."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.left),
            "RateLimit-Reset": str(self.resets_in),
        }


def spend(request: HttpRequest, key: str) -> None:
    """Count a request. Raises Problem where it is one too many."""
    limit = conf().api_requests_per_minute
    window = _Window.now(f"api-rate:{key}", WINDOW_SECONDS)
    count = window.add(1)
    if count is None:
        return
    allowance = Allowance(limit, max(0, limit - count), window.resets_in)
    request.allowance = allowance  # type: ignore[attr-defined]
    if count > limit:
        raise _too_many(f"More than {limit} requests in a minute", window)


def spend_submissions(key: str, tasks: Iterable[JobTask]) -> None:
    """Count jobs of tasks that have a rate (`public_rate`), one for each task given.

    Args:
        key: of the caller.
        tasks: those of the jobs about to be enqueued.

    Raises:
        Problem: they are too many for one of the tasks. Then none of them counts, so that fewer may follow at once.
    """
    spent: list[tuple[_Window, int]] = []
    for (name, text), count in Counter((task.name, task.public_rate) for task in tasks if task.public_rate).items():
        rate = PublicRate.read(text)
        window = _Window.now(f"api-submissions:{key}:{name}", rate.seconds)
        spent.append((window, count))
        total = window.add(count)
        if total is not None and total > rate.most:
            for counted, by in spent:
                counted.add(-by)
            left = max(0, rate.most - (total - count))
            raise _too_many(f"{name} takes {rate.most} jobs per {rate.unit} from one client: {left} are left", window)


def _too_many(what: str, window: "_Window") -> Problem:
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        f"{what}; try again in {window.resets_in} s.",
        headers={"Retry-After": str(window.resets_in)},
    )


@dataclass(frozen=True, slots=True)
class _Window:
    """A stretch of time in which something is counted.

    Attributes:
        key: under which the cache keeps the count.
        seconds: how long it is.
        resets_in: how many of them are left.
    """

    key: str
    seconds: int
    resets_in: int

    @classmethod
    def now(cls, what: str, seconds: int) -> "_Window":
        number, passed = divmod(int(time.time()), seconds)
        return cls(f"{what}:{number}", seconds, seconds - passed)

    def add(self, count: int) -> int | None:
        """Count so many, and return how many there are; None while the cache is away, which must not close the API."""
        try:
            cache.add(self.key, 0, timeout=self.seconds * 2)
            return int(cache.incr(self.key, count))
        except ValueError:  # It expired in between.
            return count
        except (RedisError, OSError):
            logger.warning("The cache does not answer: the API's rates are not limited.")
            return None
