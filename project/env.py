"""Typed, loud readers of environment variables: a bad value names the variable, the value and the rule."""

import os
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})


def text(name: str, default: str | None = None) -> str:
    """Return the variable, or `default`. Raises ImproperlyConfigured where it is required and missing."""
    value = os.environ.get(name)
    if value is not None and value != "":
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is required: set it in the environment.")
    return default


def _parsed(name: str, default: T, parse: Callable[[str], T], rule: str) -> T:
    value = os.environ.get(name)
    if value is None or value == "":
        return default
    try:
        return parse(value.strip())
    except (ValueError, KeyError) as exc:
        raise ImproperlyConfigured(f"{name}={value!r} is not valid: it must be {rule}.") from exc


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

    def parse(value: str) -> int:
        number = int(value)
        if not least <= number <= most:
            raise ValueError(number)
        return number

    return _parsed(name, default, parse, f"a whole number from {least} to {most}")


def decimal(name: str, default: float, *, least: float, most: float) -> float:
    """Return a number from `least` to `most`."""

    def parse(value: str) -> float:
        number = float(value)
        if not least <= number <= most:
            raise ValueError(number)
        return number

    return _parsed(name, default, parse, f"a number from {least:g} to {most:g}")


def words(name: str, default: list[str]) -> list[str]:
    """Return a comma-separated list without empty items."""
    return _parsed(
        name,
        default,
        lambda value: [item.strip() for item in value.split(",") if item.strip()],
        "a comma-separated list",
    )


def url(name: str, default: str | None, *, schemes: tuple[str, ...]) -> str:
    """Return a URL whose scheme is one of `schemes`. Raises ImproperlyConfigured otherwise."""
    value = text(name, default)
    scheme, separator, _ = value.partition("://")
    if value and (not separator or scheme not in schemes):
        # The value itself may hold a password, so only its scheme is shown.
        shown = f"{scheme}://…" if separator else "a value without ://"
        raise ImproperlyConfigured(
            f"{name} ({shown}) is not valid: it must be a URL that starts with one of "
            + ", ".join(f"{known}://" for known in schemes)
            + "."
        )
    return value


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
