"""Whether a message was dispatched from the ledger, and which jobs it names; `jobs.enqueue.message` writes them."""

import uuid
from collections.abc import Mapping

from jobs.core.delivery import Malformed, read_body, shown
from jobs.enqueue.message import CHUNK, CHUNK_SIZE, LEDGER_HEADER


def is_from_ledger(headers: object) -> bool:
    """Return whether the headers of a message, whatever they are, say that it was dispatched from the ledger."""
    if not isinstance(headers, Mapping) or not isinstance(headers.get("id"), str):
        return False
    value = headers.get(LEDGER_HEADER)
    return type(value) is int and value == 1


def is_chunk(headers: object) -> bool:
    """Return whether the headers of a message, whatever they are, say that it names several jobs of the ledger."""
    return is_from_ledger(headers) and isinstance(headers, Mapping) and headers.get("task") == CHUNK


def read_chunk(payload: object) -> list[uuid.UUID]:
    """Return the jobs that the decoded body of a chunk names, each once and in order.

    Raises:
        Malformed: it names none, or too many, or something that is no job's id; the error shows each of these.
    """
    args = read_body(payload).args
    if len(args) != 1 or not isinstance(args[0], (list, tuple)):
        raise Malformed("A chunk's only argument must be the list of its jobs' ids.")
    (given,) = args
    if not 1 <= len(given) <= CHUNK_SIZE:
        raise Malformed(f"A chunk names {len(given)} jobs: it must name from 1 to {CHUNK_SIZE}.")
    found = [_job_id(text) for text in given]
    if bad := [shown(text) for text, job_id in zip(given, found, strict=True) if job_id is None]:
        raise Malformed(f"A chunk names what is no job's id: {', '.join(bad)}; each must be a UUID as a text.")
    return list(dict.fromkeys(job_id for job_id in found if job_id is not None))


def _job_id(text: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None
