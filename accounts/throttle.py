"""Slows down whoever tries many passwords or has many mails sent.

Attempts are counted by the visitor's network and by the address typed, known or not, in the cache. The count of an
address is the visitor's own: what others try for it keeps nobody out. A cache that cannot be reached lets everybody
pass, for the same reason.
"""

import hashlib
import ipaddress
import logging
import time
from collections.abc import Iterable
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
    """The limits of one kind of attempt.

    Attributes:
        name: of the kind.
        by_network: for one visitor, whatever is typed.
        by_address: for one visitor and one address.
    """

    name: str
    by_network: Limit
    by_address: Limit

    def seconds_to_wait(self, request: HttpRequest, address: str) -> int:
        """Count one attempt; return how long the visitor must wait, 0 if not at all."""
        network = _network(request)
        counted = [
            (self.by_network, f"{self.name}:{network}"),
            (self.by_address, f"{self.name}:{network}:{_digest(address)}"),
        ]
        return _seconds_over(self.name, counted)


#: Every place where a password is tried, together: the log-in, the admin's, and forms of members that ask for theirs.
LOG_IN = Throttle("log-in", Limit(50, 600), Limit(10, 600))
#: Every form that has a mail sent.
MAIL = Throttle("mail", Limit(60, 3600), Limit(10, 3600))

#: Messages of one kind to one address, whoever asks for them: many visitors together are not to fill an inbox. The
#: window is short beside the hour in which a link works, so a good one lies there whenever another is not sent.
INBOX = Limit(20, 1200)


def inbox_has_enough(kind: str, address: str) -> bool:
    """Count one message of a kind to an address; return whether it can be spared, since others came just before."""
    return _seconds_over(kind, [(INBOX, f"inbox:{kind}:{_digest(address)}")]) > 0


def _seconds_over(what: str, counted: Iterable[tuple[Limit, str]]) -> int:
    """Count one attempt under each key and return the seconds to the end of the last window that is full."""
    try:
        return max([_seconds_left(limit, key) for limit, key in counted])
    except (RedisError, OSError):
        logger.warning("The cache does not answer: %s is not throttled.", what, exc_info=True)
        return 0


def _seconds_left(limit: Limit, key: str) -> int:
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
    if isinstance(address, ipaddress.IPv6Address):
        # A socket for both kinds shows IPv4 as ::ffff:192.0.2.7: all of them are one /64.
        return str(address.ipv4_mapped or ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)


def _digest(address: str) -> str:
    # The cache needs no list of people's addresses, and its keys allow no spaces.
    try:
        spelling = canonical(address.strip())
    except InvalidMail:
        spelling = address
    return hashlib.sha256(spelling.encode("utf-8", "surrogatepass")).hexdigest()[:32]
