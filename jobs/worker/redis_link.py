"""A worker's connection to what processes share (`REDIS_URL`). Nothing waits for it; its state is told."""

import random
import time
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.core.backoff import pause

#: How long an answer may take, and the longest pause between two tries, in seconds.
TIMEOUT = 1.0
LONGEST_PAUSE = 15.0


class RedisLink:
    """Asks Redis whether it is there: for ever, and ever less often while it is not. Used by one thread."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0)
        )
        self._failures = self._reconnects = 0
        self._ask_at = 0.0

    def look(self) -> dict[str, Any]:
        """Return its state, how often in a row it did not answer, and how often it came back."""
        if time.monotonic() >= self._ask_at:
            self._ask()
        return {
            "state": "reconnecting" if self._failures else "connected",
            "attempts": self._failures,
            "reconnects": self._reconnects,
        }

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def _ask(self) -> None:
        try:
            self._client.ping()
        except (redis.RedisError, OSError):
            self._failures += 1
            self._ask_at = time.monotonic() + pause(self._failures, TIMEOUT, LONGEST_PAUSE, random.random)
        else:
            self._reconnects += bool(self._failures)
            self._failures = 0
