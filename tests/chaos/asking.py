"""Questions to a database that faults strike, from the process that strikes."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def ask(question: Callable[[], T]) -> T | None:
    """Return the answer; None where the database gives none now. The next question has a new connection then."""
    from django.db import Error, connection  # noqa: PLC0415 (Django is set up by then)

    try:
        return question()
    except Error:
        connection.close()
        return None
