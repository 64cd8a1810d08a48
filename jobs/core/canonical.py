"""JSON that reads the same from every database: what PostgreSQL's `jsonb` would change is written as it would read it.

`jsonb` keeps numbers as decimals and objects sorted by the length of their keys
(https://www.postgresql.org/docs/current/datatype-json.html). A retry reads its arguments from there, the first attempt
may have them from its message, and SQLite keeps the text: they must not differ.
"""

import json
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from kombu.utils.json import JSONEncoder, object_hook

#: A float of this size is written with an exponent; `jsonb` would hand it back as a whole number, an `int`.
_EXPONENT_FROM = 1e16

#: How deep lists and objects may be nested: Python's parser recurses, and who reads them has used part of its stack.
DEEPEST = 200

#: Stands before a number that `json` cannot be told to write out, inside quotes that are taken off again. No text that
#: somebody sends can begin with it.
_NUMBER = uuid.uuid4().hex
_QUOTED_NUMBER = re.compile(f'"{_NUMBER}([^"]*)"')

#: As Kombu's `dumps`, which makes an encoder for each text.
_encode: Callable[[Any], str] = JSONEncoder(allow_nan=False).encode

#: Reads what `encode` has written, times and other values that JSON has not among it. As Kombu's `loads`, which makes
#: a decoder for each text. Raises ValueError where a text is no JSON.
decode: Callable[[str], Any] = json.JSONDecoder(object_hook=object_hook).decode


def encode(value: Any) -> str:
    """Return `value` as JSON in its canonical form: keys in `jsonb`'s order, no exponents, no negative zero.

    Raises:
        TypeError, ValueError: it cannot be said in JSON, or is nested deeper than `DEEPEST`.
    """
    text = _encode(_canonical(value))
    return _QUOTED_NUMBER.sub(r"\1", text) if _NUMBER in text else text


def why_not_storable(text: str) -> str:
    """Return what JSON can spell and PostgreSQL's `jsonb` cannot hold, if a JSON text holds it; else nothing."""
    if "\\u0000" not in text and "\\ud" not in text.lower():
        return ""
    plain = json.dumps(json.loads(text), ensure_ascii=False)
    try:
        plain.encode()
    except UnicodeEncodeError:
        return "a lone surrogate, which is no valid text"
    if "\\u0000" in plain.replace("\\\\", ""):
        return "a NUL character, which PostgreSQL cannot store in JSON"
    return ""


def _canonical(value: Any, depth: int = 0) -> Any:
    if isinstance(value, (dict, list, tuple)):
        return _container(value, depth + 1)
    if isinstance(value, float):
        return _number(value)
    return value


def _container(value: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    if not isinstance(value, dict):
        return [_canonical(one, depth) for one in value]
    if not all(type(key) is str for key in value):
        # `json` makes texts of other keys, of which two may become one: the last one counts, as where it is read.
        value = {_key(key): one for key, one in value.items()}
    return {key: _canonical(value[key], depth) for key in sorted(value, key=_place)}


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
