"""The correlation id: one for a request and every job that follows from it, however far down."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: What may come from outside: it is written into logs, headers and the ledger as it is.
VALID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

#: Where the id comes from, and where the answer says it.
HEADER = "X-Request-ID"

_current: ContextVar[str] = ContextVar("correlation", default="")


def current() -> str:
    """Return the id of the request that is being answered; empty outside of any."""
    return _current.get()


def chosen(given: str) -> str:
    """Return the id that a client gave, or a new one where it gave none that can be used."""
    return given if VALID.fullmatch(given) else uuid.uuid4().hex


@contextmanager
def correlated(correlation_id: str) -> Iterator[None]:
    """Let what happens meanwhile belong together under this id, logs and jobs alike."""
    token = _current.set(correlation_id)
    try:
        yield
    finally:
        _current.reset(token)
