"""Slows down whoever tries many passwords or has many mails sent.

Each form counts attempts by the visitor's network and by the address typed, known or not, in the cache. A cache that
cannot be reached lets everybody pass: it must not lock people out.
"""

import hashlib
import ipaddress
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError

from mail.addresses import canonical
from mail.errors import InvalidMail

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` attempts in each window of `seconds`."""

    count: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Throttle:
    """The limits of one form.

    Attributes:
        form: its name.
        by_network: for one visitor, whatever is typed.
        by_address: for one address; where `per_visitor`, only for attempts of the same visitor, so that nobody can
            lock somebody else out.
        per_visitor: see there.
    """

    form: str
    by_network: Limit
    by_address: Limit
    per_visitor: bool = False

    def seconds_to_wait(self, request: HttpRequest, address: str) -> int:
        """Count one attempt; return how long the visitor must wait, 0 if not at all."""
        try:
            return max(_seconds_over(limit, key) for limit, key in self._counters(request, address))
        except (RedisError, OSError):
            logger.warning(
                "The cache does not answer: %s is not throttled.",
                self.form,
                exc_info=True,
            )
            return 0

    def _counters(self, request: HttpRequest, address: str) -> Iterator[tuple[Limit, str]]:
        network = _network(request)
        yield self.by_network, f"{self.form}:{network}"
        yield (
            self.by_address,
            f"{self.form}:{network if self.per_visitor else ''}:{_digest(address)}",
        )


#: Log-in: guessing passwords.
LOG_IN = Throttle("log-in", Limit(50, 600), Limit(10, 600), per_visitor=True)
#: Every form that has a mail sent: filling other people's inboxes.
MAIL = Throttle("mail", Limit(60, 3600), Limit(10, 3600))
#: Forms of people already logged in that ask for their password.
PASSWORD = Throttle("password", Limit(50, 600), Limit(10, 600))


def _seconds_over(limit: Limit, key: str) -> int:
    """Count one attempt and return the seconds to the window's end if it was one too many."""
    now = int(time.time())
    window, passed = divmod(now, limit.seconds)
    key = f"throttle:{key}:{window}"
    cache.add(key, 0, timeout=limit.seconds)
    try:
        count = cache.incr(key)
    except ValueError:  # It expired in between: a new window has begun.
        return 0
    return limit.seconds - passed if count > limit.count else 0


def _network(request: HttpRequest) -> str:
    """Return the visitor's address; for IPv6 the /64 that one household or server has all to itself."""
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:  # A Unix socket has none.
        return "unknown"
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network(f"{address}/64", strict=False))


def _digest(address: str) -> str:
    # The cache needs no list of people's addresses, and its keys allow no spaces.
    try:
        spelling = canonical(address.strip())
    except InvalidMail:
        spelling = address
    return hashlib.sha256(spelling.encode("utf-8", "surrogatepass")).hexdigest()[:32]
