"""JSON that reads the same from every database: what PostgreSQL's `jsonb` would change is written as it would read it.

`jsonb` keeps numbers as decimals and objects sorted by the length of their keys
(https://www.postgresql.org/docs/current/datatype-json.html). A retry reads its arguments from there, the first attempt
may have them from its message, and SQLite keeps the text: they must not differ.
"""

import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from kombu.utils.json import JSONEncoder

#: A float of this size is written with an exponent; `jsonb` would hand it back as a whole number, an `int`.
_EXPONENT_FROM = 1e16

#: Stands before a number that `json` cannot be told to write out, inside quotes that are taken off again. No text that
#: somebody sends can begin with it.
_NUMBER = uuid.uuid4().hex
_QUOTED_NUMBER = re.compile(f'"{_NUMBER}([^"]*)"')

#: As Kombu's `dumps`, which makes an encoder for each text.
_encode: Callable[[Any], str] = JSONEncoder(allow_nan=False).encode


def encode(value: Any) -> str:
    """Return `value` as JSON in its canonical form: keys in `jsonb`'s order, no exponents, no negative zero.

    Raises:
        TypeError, ValueError, RecursionError: it cannot be said in JSON.
    """
    text = _encode(_canonical(value))
    return _QUOTED_NUMBER.sub(r"\1", text) if _NUMBER in text else text


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return _sorted(value) if len(value) > 1 else {key: _canonical(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(one) for one in value]
    if isinstance(value, float):
        return _number(value)
    return value


def _sorted(value: dict[Any, Any]) -> dict[Any, Any]:
    if all(type(key) is str for key in value):
        return {key: _canonical(value[key]) for key in sorted(value, key=_place)}
    # `json` makes texts of other keys, of which two may become one: the last one counts, as where it is read.
    read: dict[str, Any] = {_key(key): one for key, one in value.items()}
    return _sorted(read)


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    (text,) = re.fullmatch(r'\{"(.*)": 0\}', _encode({key: 0}), re.DOTALL).groups()  # type: ignore[union-attr]
    return str(text)


def _place(key: str) -> tuple[int, bytes]:
    # A lone surrogate has no UTF-8; it is refused later, by name.
    encoded = key.encode("utf-8", "surrogatepass")
    return len(encoded), encoded


def _number(value: float) -> Any:
    if value == 0:
        return 0.0
    if _EXPONENT_FROM <= abs(value) < float("inf"):
        return f"{_NUMBER}{Decimal(repr(value)):f}.0"
    return value
