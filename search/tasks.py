"""The jobs of search."""

import uuid
from typing import NamedTuple

from jobs import Batch, Breaker, JobTask, Permanent, job, progress
from search import indexing, reindexing
from search.documents import kind as kind_of
from search.errors import SearchError

#: The server, or database, that keeps the index.
INDEX = Breaker("search")


class Reference(NamedTuple):
    """Which object a job is about: its kind, and its id as text."""

    kind: str
    pk: str


@job(name="search.index", queue="indexing", breaker=INDEX, batch=100, unique="{kind}:{pk}", time_limit=120)
def index_document(batch: Batch[Reference]) -> None:
    """Let the index show the present state of objects; up to a hundred in one request.

    The job looks at the object when it runs, so the order of jobs does not matter, and one that waits to begin
    stands for all changes until then.
    """
    for name in {item.value.kind for item in batch}:
        items = [item for item in batch if item.value.kind == name]
        try:
            indexing.index(kind_of(name), [item.value.pk for item in items])
        except SearchError as exc:
            if not exc.permanent or len(items) == 1:
                for item in items:
                    item.fail(_as_outcome(exc))
            else:
                _one_by_one(name, items)


def _one_by_one(name: str, items: list) -> None:  # type: ignore[type-arg]
    """Index each object on its own after the server refused them together: only what is wrong shall fail."""
    for item in items:
        try:
            indexing.index(kind_of(name), [item.value.pk])
        except SearchError as exc:
            item.fail(_as_outcome(exc))


@job(
    bind=True, name="search.reindex", queue="indexing", breaker=INDEX, unique="{name}", time_limit=6 * 3600, public=True
)
def reindex(self: JobTask, name: str) -> int:
    """Build the index of a kind (`post`, or its index's name `posts`) anew and swap it in; return its size."""
    try:
        return reindexing.reindex(kind_of(name), uuid.UUID(self.request.id), progress)
    except SearchError as exc:
        raise _as_outcome(exc) from exc


def _as_outcome(error: SearchError) -> Exception:
    return Permanent(str(error)) if error.permanent else error
