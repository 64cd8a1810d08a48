"""Typed, loud readers of environment variables: each raises ImproperlyConfigured for a bad value.

The error names the variable, the value and the rule. An empty variable counts as unset. Values that may hold a secret
are never shown.
"""

import os
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured
from kombu.transport import TRANSPORT_ALIASES

T = TypeVar("T")
N = TypeVar("N", int, float)
Network = IPv4Network | IPv6Network

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})

REDIS_SCHEMES = ("redis", "rediss", "valkey", "valkeys", "unix")

#: Every variable that was read, with its default, for the documents to be kept in step with.
read: dict[str, object] = {}


def require(*names: str, when: str) -> None:
    """Raise ImproperlyConfigured that names those variables that are not set."""
    missing = [name for name in names if not _given(name)]
    if missing:
        raise ImproperlyConfigured(f"{', '.join(missing)}: required {when}; set in the environment.")


def text(name: str, default: str | None = None) -> str:
    """Return the variable, or `default`. Raises ImproperlyConfigured where it is required and missing."""
    read[name] = default
    value = _given(name)
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is required: set it in the environment.")
    return default


def boolean(name: str, default: bool) -> bool:
    """Return true for 1/true/yes/on and false for 0/false/no/off, in any case."""

    def parse(value: str) -> bool:
        word = value.lower()
        if word not in TRUE_WORDS | FALSE_WORDS:
            raise ValueError(word)
        return word in TRUE_WORDS

    return _parsed(name, default, parse, "one of 1, true, yes, on, 0, false, no, off")


def integer(name: str, default: int, *, least: int, most: int) -> int:
    """Return a whole number from `least` to `most`."""
    return _parsed(name, default, _between(int, least, most), f"a whole number from {least} to {most}")


def decimal(name: str, default: float, *, least: float, most: float) -> float:
    """Return a number from `least` to `most`."""
    return _parsed(name, default, _between(float, least, most), f"a number from {least:g} to {most:g}")


def _between(read_number: Callable[[str], N], least: float, most: float) -> Callable[[str], N]:
    def parse(value: str) -> N:
        number = read_number(value)
        if not least <= number <= most:
            raise ValueError(number)
        return number

    return parse


def words(name: str, default: list[str]) -> list[str]:
    """Return a comma-separated list without empty items."""
    return _parsed(
        name,
        default,
        lambda value: [item.strip() for item in value.split(",") if item.strip()],
        "a comma-separated list",
    )


def choice(name: str, default: str, *, among: tuple[str, ...]) -> str:
    """Return one of a few words, in any case, as it stands in `among`."""
    known = {word.lower(): word for word in among}
    return _parsed(name, default, lambda value: known[value.lower()], f"one of {', '.join(among)}")


def url(name: str, default: str | None, *, schemes: tuple[str, ...]) -> str:
    """Return a URL whose scheme is one of `schemes`. Raises ImproperlyConfigured otherwise."""
    value = text(name, default)
    scheme, separator, _ = value.partition("://")
    if value and (not separator or scheme.lower() not in schemes):
        raise ImproperlyConfigured(
            f"{name} ({_shown(scheme, separator)}) is not valid: it must be a URL that starts with one of "
            + ", ".join(f"{known}://" for known in schemes)
            + "."
        )
    return value


def redis_url(name: str, default: str | None) -> str:
    """Return the URL of a Redis or Valkey, under the scheme that clients know."""
    return _as_redis(url(name, default, schemes=REDIS_SCHEMES))


def broker_url(name: str, default: str | None) -> str:
    """Return the URL of a broker that Kombu, or our own transport, can speak to."""
    return _as_broker(name, text(name, default))


def _as_broker(name: str, value: str) -> str:
    scheme, separator, _ = value.partition("://")
    if scheme in {"valkey", "valkeys"}:
        return _as_redis(value)
    if scheme == "unix":
        # Redis at a socket, as Kombu spells it.
        return "redis+socket://" + value.removeprefix("unix://").replace("?db=", "?virtual_host=")
    if not separator or scheme.partition("+")[0] not in {"ledger", *TRANSPORT_ALIASES}:
        raise ImproperlyConfigured(
            f"{name} ({_shown(scheme, separator)}) is not valid: it must be a URL that starts with redis://, "
            "rediss://, valkey://, amqp://, amqps://, ledger:// or another of Kombu's transports."
        )
    return value


def broker_urls(name: str) -> dict[str, str]:
    """Return the URLs of brokers by the queue that each carries, from `queue=URL` between commas; none by default."""
    read[name] = ""
    urls: dict[str, str] = {}
    pairs = [pair.strip() for pair in (_given(name) or "").split(",") if pair.strip()]
    for number, pair in enumerate(pairs, 1):
        queue, _, url = (part.strip() for part in pair.partition("="))
        if not queue or not url or "://" in queue or queue in urls:
            raise ImproperlyConfigured(
                f"{name} (entry {number} of {len(pairs)}) is not valid: it must be queue=URL between commas, each queue"
                " once, as in email=amqp://host,images=redis://host."
            )
        urls[queue] = _as_broker(f"{name} (entry {number} of {len(pairs)})", url)
    return urls


def limits(name: str) -> dict[str, str]:
    """Return what is said of queues, from `queue=figures` between commas; nothing by default."""
    read[name] = ""
    said: dict[str, str] = {}
    pairs = [pair.strip() for pair in (_given(name) or "").split(",") if pair.strip()]
    for pair in pairs:
        queue, _, figures = (part.strip() for part in pair.partition("="))
        if not queue or not figures or said.get(queue, figures) != figures:
            raise ImproperlyConfigured(
                f"{name}={pair!r} is not valid: it must be queue=figures between commas, each queue once, as in"
                " email=100/s burst:20, images=concurrency:4."
            )
        said[queue] = figures
    return said


def numbers(name: str) -> dict[str, float]:
    """Return numbers by name, of a list such as `email=3,default=1`; none by default."""

    def parse(value: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for item in filter(str.strip, value.split(",")):
            key, _, number = (part.strip() for part in item.partition("="))
            if not key or key in found:
                raise ValueError(item)
            found[key] = float(number)
        return found

    return _parsed(name, {}, parse, "names with numbers between commas, each once: email=3,default=1")


def networks(name: str) -> tuple[Network, ...]:
    """Return a comma-separated list of networks, such as `10.1.0.0/16, fd00::/8`; none by default."""

    def parse(value: str) -> tuple[Network, ...]:
        return tuple(ip_network(item.strip()) for item in value.split(",") if item.strip())

    return _parsed(name, (), parse, "networks between commas, such as 10.1.0.0/16")


_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def durations(name: str) -> dict[str, float]:
    """Return durations in seconds by name, of a list such as `email=10s,default=2m`; none by default."""

    def parse(value: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for item in value.split(","):
            key, _, duration = (part.strip() for part in item.partition("="))
            match = _DURATION.fullmatch(duration)
            if match is None or not key or key in found or not float(match[1]):
                raise ValueError(item)
            found[key] = float(match[1]) * _SECONDS[match[2]]
        return found

    return _parsed(
        name, {}, parse, "names with durations above zero (ms, s, m, h) between commas, each once: email=10s,default=2m"
    )


def zone(name: str, default: str) -> str:
    """Return the name of a time zone that the system knows."""

    def parse(value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise ValueError(value) from exc
        return value

    return _parsed(name, default, parse, "a time zone name such as UTC or Europe/Berlin")


def origins(*urls: str) -> list[str]:
    """Return the origins (scheme, host, port) of those URLs that are given, each once."""
    parts = [urlsplit(url) for url in urls if url]
    return sorted({f"{part.scheme}://{part.netloc}" for part in parts})


def _as_redis(address: str) -> str:
    for ours, theirs in (("valkey://", "redis://"), ("valkeys://", "rediss://")):
        if address.startswith(ours):
            return theirs + address.removeprefix(ours)
    return address


def _given(name: str) -> str:
    return os.environ.get(name, "").strip()


def _parsed(name: str, default: T, parse: Callable[[str], T], rule: str) -> T:
    read[name] = default
    value = _given(name)
    if not value:
        return default
    try:
        return parse(value)
    except (ValueError, KeyError) as exc:
        raise ImproperlyConfigured(f"{name}={value!r} is not valid: it must be {rule}.") from exc


def _shown(scheme: str, separator: str) -> str:
    # The value itself may hold a password, so no more than its scheme is shown.
    return f"{scheme}://…" if separator else "a value without ://"
