"""What comes off the wire, which anybody may have written: checked once, before anybody relies on it. Pure.

The rules are those of Celery's protocol: https://docs.celeryq.dev/en/stable/internals/protocol.html#version-2
What a message can do without is left out where it is of the wrong kind; for the rest the message is refused.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.core.canonical import why_not_storable
from jobs.core.moments import EARLIEST, LATEST, is_possible
from jobs.core.retry import TOO_LONG

#: The engine's own entries in a request begin so. Those of a message that do are nobody's: they are left out.
OWN = "jobs:"

#: What a message may embed beside its arguments.
EMBEDDED = ("callbacks", "errbacks", "chain", "chord")

#: Arguments nested deeper than this are refused: what comes after them, pickles and JSON, could not be sure to end.
MOST_NESTED = 200

#: The largest whole number of a column, and of a header of AMQP.
LARGEST, LARGEST_HEADER = 2**31 - 1, 2**63 - 1

#: The longest text that is kept of a header which cannot be carried as it is.
LONGEST_TEXT = 1000

#: AMQP's longest name of a header, in bytes.
LONGEST_NAME = 255

#: All headers of a caller's own together, in bytes of JSON: with the protocol's they must fit into one frame of AMQP.
MOST_HEADERS = 64 * 1024


class Malformed(ValueError):
    """Raised for a message that says something it cannot; names the entry, its value and the rule."""


class NoCall(Malformed):
    """Raised for a body that is no call at all."""


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a message: the call, and what is to follow it."""

    args: list[Any]
    kwargs: dict[str, Any]
    embedded: dict[str, Any]
    #: Whether something was left out, so that the body as it came must not be passed on.
    is_partial: bool


def read_headers(headers: Mapping[Any, Any], ours: str) -> dict[str, Any]:
    """Return a message's headers as Celery and the engine may rely on them.

    Args:
        headers: as they came; of protocol 1, the whole body.
        ours: the header that says that the ledger has sent the message. Any value of it but 1 says nothing.

    Raises:
        Malformed: one that decides what happens is of the wrong kind.
    """
    read = {name: value for name, value in headers.items() if isinstance(name, str) and not name.startswith(OWN)}
    for name, (is_right, rule) in _REQUIRED.items():
        if read.get(name) is not None and not is_right(read[name]):
            raise Malformed(f"{name}={shown(read[name])} is not valid: it must be {rule}.")
    for name, kind in _OPTIONAL.items():
        if read.get(name) is not None and not isinstance(read[name], kind):
            del read[name]
    if read.get("retries") is None:
        read["retries"] = 0
    if ours in read and not (type(read[ours]) is int and read[ours] == 1):
        del read[ours]
    return read


def read_body(payload: Any) -> Body:
    """Return a decoded body. Raises Malformed where it is no call."""
    if not isinstance(payload, (list, tuple)) or len(payload) != 3:
        raise NoCall(f"The body is a {_kind(payload)}: it must be arguments, keyword arguments and what is embedded.")
    args, kwargs, embedded = payload
    if (
        not isinstance(args, (list, tuple))
        or not isinstance(kwargs, dict)
        or not all(type(key) is str for key in kwargs)
    ):
        raise Malformed("The arguments must be a list and a mapping.")
    embedded = {} if embedded is None else embedded
    if not isinstance(embedded, dict):
        raise Malformed(f"The body embeds a {_kind(embedded)}: it must be a mapping.")
    kept = {name: embedded.get(name) for name in EMBEDDED}
    for name, value in kept.items():
        if value is not None and not _FOLLOWS[name](value):
            raise Malformed(f"{name} is a {_kind(value)}: it must be signatures.")
    if is_too_deep([args, kwargs, kept]):
        raise Malformed(f"The arguments are nested deeper than {MOST_NESTED} levels.")
    return Body(list(args), kwargs, kept, is_partial=embedded.keys() - set(EMBEDDED) != set())


def whole(value: object) -> int:
    """Return a number of attempts as a message names it; 0 where it names none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if _is_count(value) else 0  # type: ignore[return-value]


def portable(value: Any) -> Any:
    """Return a header's value as every broker can carry it: itself, where it can."""
    match value:
        case None | bool() | datetime():
            return value
        case int():
            return value if abs(value) <= LARGEST_HEADER else _number(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            carried = value
        case bytes() | bytearray() | memoryview():
            carried = bytes(value).decode("utf-8", "replace")
        case list() | tuple() | dict():
            return _portable_container(value)
        case _:
            carried = str(value)[:LONGEST_TEXT]
    return carried.encode("utf-8", "replace").decode()


def can_be_carried(value: Any) -> bool:
    """Return whether every broker can carry a header's value as it is, if JSON can say it."""
    if isinstance(value, (list, tuple, dict)):
        if is_too_deep(value):
            return False
        inner = value.values() if isinstance(value, dict) else value
        return all(map(can_be_carried, inner)) and (not isinstance(value, dict) or all(map(is_header_name, value)))
    return not isinstance(value, (int, float, str)) or portable(value) == value


def is_header_name(name: object) -> bool:
    """Return whether every broker can carry a header of this name."""
    return type(name) is str and portable_name(name) == name


def portable_name(name: object) -> str:
    """Return a header's name as every broker can carry it: itself, where it can."""
    return str(name)[:LONGEST_TEXT].encode("utf-8", "replace")[:LONGEST_NAME].decode("utf-8", "ignore")


def _portable_container(value: Any) -> Any:
    if is_too_deep(value):
        return f"(nested deeper than {MOST_NESTED} levels)"
    if isinstance(value, dict):
        return {portable_name(name): portable(one) for name, one in value.items()}
    return [portable(one) for one in value]


def is_too_deep(value: Any) -> bool:
    """Return whether lists and mappings in it are nested too deep to be walked through by recursion."""
    level = [value]
    for _ in range(MOST_NESTED):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, (list, tuple)):
                inner.extend(one)
        level = [one for one in inner if isinstance(one, (dict, list, tuple))]
        if not level:
            return False
    return True


def shown(value: object) -> str:
    """Return a value off the wire as an error may show it, whatever it is and however long."""
    if is_too_deep(value):
        return f"a {type(value).__name__} nested deeper than {MOST_NESTED} levels"
    if isinstance(value, int) and abs(value) > LARGEST_HEADER:
        return "a number of too many digits"
    return f"{value!r:.200}"


def _number(value: int) -> str:
    # Python refuses to write out a number of more than some thousands of digits.
    return str(value) if value.bit_length() < LONGEST_TEXT else "(a number of too many digits)"


def _kind(value: object) -> str:
    # Not the value: a task may hide what is in it.
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, (list, tuple, dict)) else type(value).__name__


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _is_limit(value: object) -> bool:
    return value is None or (type(value) in {int, float} and 0 < value < TOO_LONG)  # type: ignore[operator]


def _are_limits(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_limit, value))


def _is_time(value: object) -> bool:
    if isinstance(value, datetime):
        return is_possible(value)
    try:
        return isinstance(value, str) and is_possible(datetime.fromisoformat(value))
    except ValueError:
        return False


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 255 and value.isprintable()


def _are_names(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_is_name, value))


def _are_signatures(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(one, dict) for one in value)


_TIME = f"an ISO 8601 time between {EARLIEST.year} and {LATEST.year}"
_NAME = "a printable text of at most 255 characters"

#: What decides what happens. None stands for "not said" with all of them.
_REQUIRED: dict[str, tuple[Callable[[object], bool], str]] = {
    "id": (_is_name, _NAME),
    "retries": (_is_count, f"a whole number from 0 to {LARGEST}"),
    "timelimit": (_are_limits, "two limits, each seconds above zero or none"),
    "eta": (_is_time, _TIME),
    "expires": (_is_time, _TIME),
    "root_id": (_is_name, _NAME),
    "parent_id": (_is_name, _NAME),
    "group": (_is_name, _NAME),
    "group_index": (_is_count, f"a whole number from 0 to {LARGEST}"),
    "replaced_task_nesting": (_is_count, f"a whole number from 0 to {LARGEST}"),
    "stamped_headers": (_are_names, "names of headers"),
    "stamps": (lambda value: isinstance(value, dict), "a mapping"),
}

#: What is only shown.
_OPTIONAL: dict[str, type | tuple[type, ...]] = {
    "lang": str,
    "shadow": str,
    "argsrepr": str,
    "kwargsrepr": str,
    "origin": str,
    "ignore_result": bool,
    "x-correlation-id": str,
}

#: Headers of the protocol; all others are their sender's own.
_PROTOCOL = frozenset({*_REQUIRED, *_OPTIONAL, "task", "compression"})

#: How those begin that a broker adds: https://www.rabbitmq.com/docs/dlx#effects, https://www.rabbitmq.com/docs/quorum-queues
_BROKERS = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")


def own_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers that are the sender's own, and stamps, as JSON that every broker and database can hold.

    One that cannot be held is left out, and so are those that are too many.
    """
    stamps = {"stamped_headers", "stamps"} if headers.get("stamped_headers") else set()
    kept = {
        name: json.loads(json.dumps(portable(value), default=str))
        for name, value in headers.items()
        if name in stamps or (is_header_name(name) and not (name in _PROTOCOL or name.startswith(_BROKERS)))
    }
    held, size = {}, 0
    for name, value in kept.items():
        text = json.dumps({name: value})
        if not why_not_storable(text) and (size := size + len(text)) <= MOST_HEADERS:
            held[name] = value
    return held


_FOLLOWS: dict[str, Callable[[object], bool]] = {
    "callbacks": _are_signatures,
    "errbacks": _are_signatures,
    "chain": _are_signatures,
    "chord": lambda value: isinstance(value, dict),
}
