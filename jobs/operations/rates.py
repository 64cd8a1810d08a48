"""How often one caller may ask: a number of requests in each minute, counted in the cache."""

import logging
import time
from dataclasses import dataclass
from http import HTTPStatus

from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError

from jobs.conf import conf
from jobs.operations.problems import Problem

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
    window, passed = divmod(int(time.time()), WINDOW_SECONDS)
    resets_in = WINDOW_SECONDS - passed
    try:
        count = _count(f"api-rate:{key}:{window}")
    except (RedisError, OSError):
        # A cache that is away must not close the API.
        logger.warning("The cache does not answer: the API's rates are not limited.")
        return
    allowance = Allowance(limit, max(0, limit - count), resets_in)
    request.allowance = allowance  # type: ignore[attr-defined]
    if count > limit:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"More than {limit} requests in a minute; try again in {resets_in} s.",
            headers={"Retry-After": str(resets_in)},
        )


def _count(key: str) -> int:
    cache.add(key, 0, timeout=WINDOW_SECONDS * 2)
    try:
        return int(cache.incr(key))
    except ValueError:  # It expired in between.
        return 1
