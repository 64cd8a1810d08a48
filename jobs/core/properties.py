"""Properties of a message that a job carries for whoever reads it: AMQP's names and meanings. Pure.

https://www.rabbitmq.com/docs/publishers#message-properties
"""

import codecs
from collections.abc import Mapping

#: Those that a caller can give. Priority, expiry and what belongs together (`correlation_id`) are the job's own.
PROPERTIES = ("app_id", "content_encoding", "reply_to", "type", "user_id")

#: AMQP's longest text of a property, in bytes.
LONGEST = 255

#: Where a message says whose it is: RabbitMQ takes the property only from the user of the connection himself.
USER_HEADER = "x-user-id"

#: What stands in JSON, as jobs have it.
_ASCII = "".join(map(chr, range(32, 127)))


def why_not(name: str, value: object) -> str | None:
    """Return the rule that a property breaks; None where it is one that every broker can carry."""
    if not (isinstance(value, str) and value and value.isprintable() and len(value.encode()) <= LONGEST):
        return f"it must be a printable text of at most {LONGEST} bytes"
    if name == "content_encoding" and not _writes_ascii(value):
        return "it must name an encoding that writes ASCII as it is, such as utf-8: a job's arguments are JSON in ASCII"
    return None


def _writes_ascii(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).encode(_ASCII)[0] == _ASCII.encode()
    except (LookupError, ValueError, TypeError, AttributeError):
        return False


def carried(given: Mapping[str, object]) -> dict[str, str]:
    """Return of somebody's properties those that a job can carry."""
    return {name: str(given[name]) for name in PROPERTIES if given.get(name) and why_not(name, given[name]) is None}
