"""What a task returned, as the ledger keeps it for whoever asks for it."""

import re
from typing import Any

from celery.result import ResultBase

from jobs.conf import conf
from jobs.core.canonical import encode, why_not_storable
from jobs.tasks.declare import job
from jobs.tasks.encryption import encrypted_text


class NoResult(Exception):
    """Raised for what a task returned and the ledger cannot keep. Another attempt would return the same."""

    permanent = True


def class_of(error_type: str, traceback: str) -> tuple[str, str]:
    """Return module and name of an attempt's exception class. The ledger keeps the name, the traceback the module."""
    found = re.findall(rf"^(?:([\w.]+)\.)?{re.escape(error_type)}(?::|$)", traceback, re.MULTILINE)
    if found:
        return found[-1] or "builtins", error_type
    # What a worker's parent process writes down has no traceback: a time limit, a lost process.
    return "billiard.exceptions", error_type


def plain(value: Any) -> Any:
    """Return what a task returned as others get it: the result of what it has called as Celery's backends keep that."""
    return value.as_tuple() if isinstance(value, ResultBase) else value


def encoded(value: Any, *, encrypt: bool = False) -> str:
    """Return what a task returned as JSON; encrypted, where that is asked for.

    Raises:
        NoResult: it is none, or longer than JOBS_MAX_RESULT_BYTES.
        EncryptionError: there is no key to encrypt it with.
    """
    try:
        text = encode(plain(value))
    except (TypeError, ValueError, RecursionError) as exc:
        raise NoResult(f"The result cannot be kept: it cannot be written as JSON: {exc}.") from None
    size, limit = len(text.encode("utf-8", "surrogatepass")), conf().max_result_bytes
    if size > limit:
        raise NoResult(
            f"The result cannot be kept: it has {_megabytes(size)}; the limit is {_megabytes(limit)}"
            " (JOBS_MAX_RESULT_BYTES). Store the data and return its id."
        )
    if why := why_not_storable(text):
        raise NoResult(f"The result cannot be kept: it holds {why}.")
    return encrypted_text(text) if encrypt else text


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB" if size >= 100_000 else f"{size:,} bytes"


@job(name="jobs.accumulate", ignore_result=False)
def accumulate(results: list[Any]) -> list[Any]:
    """Return the results of a group, so that one job has them all."""
    return results
