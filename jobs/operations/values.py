"""Values that no database or no JSON can hold, found where they come in.

They are text with NUL or with half a sign, numbers that are none, and what is nested without end.
"""

import json
import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

from django.http import HttpRequest

#: How deep JSON may be nested. The ledger, pages and tasks go through it by recursion.
MOST_LEVELS = 100


_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')


class OddValue(ValueError):
    """Raised for such a value.

    Attributes:
        field: where it stands, as `kwargs.address.street`; empty for the whole.
        rule: what it must be.
        value: of an address or a form; one of a body is not repeated, since its task may hide it.
    """

    def __init__(self, field: str, rule: str, value: str | None = None) -> None:
        super().__init__(f"{field}: {rule}." if field else f"It {rule}.")
        self.field = field
        self.rule = rule
        self.value = value


def read_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        json.JSONDecodeError, UnicodeDecodeError: it is none.
        OddValue: it is one that cannot be kept.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except RecursionError:
        if _closes_what_it_opens(text):
            raise OddValue("", f"must not be nested deeper than {MOST_LEVELS} levels") from None
        raise json.JSONDecodeError("Nested without end", "", 0) from None
    _check(value)
    return value


def _closes_what_it_opens(text: str | bytes) -> bool:
    written = text if isinstance(text, str) else text.decode(errors="replace")
    brackets = _STRINGS.sub("", written)
    return sum(map(brackets.count, "[{")) == sum(map(brackets.count, "]}"))


def check_texts(request: HttpRequest) -> None:
    """Check the address, the query and the form of a request. Raises OddValue."""
    for name, text in _texts(request):
        if rule := _wrong_with(text):
            raise OddValue(name, rule, text)


def _texts(request: HttpRequest) -> Iterator[tuple[str, str]]:
    yield "path", request.path_info
    # A body of JSON is no form, and is read by who asks for it.
    for given in (request.GET, request.POST):
        for name, values in given.lists():
            yield "a name", name
            for value in values:
                yield name, str(value)


def _refuse_constant(name: str) -> None:
    raise OddValue("", f"must not contain {name}, which is no number of JSON")


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise OddValue("", f"must not contain a number of {len(digits):,} digits") from None


def _check(value: Any) -> None:
    """Go through a value without recursion. Raises OddValue for the first that is odd."""
    left: list[tuple[Any, tuple[str, ...], int]] = [(value, (), 1)]
    while left:
        value, place, level = left.pop()
        if level > MOST_LEVELS + 1:
            raise OddValue(_field(place), f"must not be nested deeper than {MOST_LEVELS} levels")
        if isinstance(value, dict):
            for name in value:
                if rule := _wrong_with(name):
                    raise OddValue(_field(place), f"has a name that {rule}")
            left += [(item, (*place, name), level + 1) for name, item in value.items()]
        elif isinstance(value, list):
            left += [(item, (*place, str(index)), level + 1) for index, item in enumerate(value)]
        elif isinstance(value, str) and (rule := _wrong_with(value)):
            raise OddValue(_field(place), rule)
        elif isinstance(value, float) and not isfinite(value):
            raise OddValue(_field(place), "must be a finite number")


def _field(place: tuple[str, ...]) -> str:
    return ".".join(place[:MOST_LEVELS])[:200]


def _wrong_with(text: str) -> str:
    if "\x00" in text:
        return "must not contain the NUL character"
    if text.isascii():
        return ""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "must not contain a lone surrogate, which is half a sign"
    return ""
