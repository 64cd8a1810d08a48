"""Deleting many objects: which keys go into one job, and what becomes of those that would not go."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from storage import keys
from storage.client import MAX_KEYS, KeyFailure, store
from storage.errors import StorageError

#: Keys may be long; a job's arguments may not.
MAX_JOB_BYTES = 150_000

#: Failures that a message names one by one.
NAMED = 10


@dataclass(frozen=True, slots=True)
class Deletion:
    """What became of a request: how many objects are gone, and which keys need a job of their own.

    Attributes:
        again: groups of keys; what holds for one key of a group (try later, give up) holds for all of it.
    """

    deleted: int
    again: list[list[str]]


def batches(doomed: Iterable[str]) -> Iterator[list[str]]:
    """Yield the keys in portions that fit into one request to a store and into one job's arguments."""
    batch: list[str] = []
    size = 0
    for key in doomed:
        length = len(ascii(key)) + 2
        if batch and (len(batch) == MAX_KEYS or size + length > MAX_JOB_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(key)
        size += length
    if batch:
        yield batch


def delete(store_name: str, doomed: Sequence[str]) -> Deletion:
    """Delete objects; where some would not go, say which need another job.

    A group of failures smaller than what was asked for gets a job of its own, which retries, or gives up, without
    the others. So groups only ever shrink, and in the end a failed job names exactly the keys at fault.

    Raises:
        StorageError: all of the keys failed alike, or the store itself did.
    """
    failures = store(store_name).delete(doomed)
    groups = [[one for one in failures if one.permanent == permanent] for permanent in (False, True)]
    for group in groups:
        if group and len(group) == len(doomed):
            raise _refused(store_name, group)
    return Deletion(len(doomed) - len(failures), [[one.key for one in group] for group in groups if group])


def _refused(store_name: str, failures: Sequence[KeyFailure]) -> StorageError:
    named = "; ".join(str(one) for one in failures[:NAMED])
    rest = f"; and {len(failures) - NAMED:,} more" if len(failures) > NAMED else ""
    return StorageError(
        f"The {store_name} store did not delete {_count(len(failures))}: {named}{rest}.",
        permanent=failures[0].permanent,
    )


def _count(number: int) -> str:
    return "1 object" if number == 1 else f"{number:,} objects"


def shown(doomed: Sequence[str]) -> str:
    """Return keys for a log line: the first few, and how many there are."""
    return ", ".join(keys.shown(key) for key in doomed[:NAMED]) + ("" if len(doomed) <= NAMED else ", …")
