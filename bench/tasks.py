"""Our side: the smallest job there is. Found by the project's worker when EXTRA_APPS names this package."""

from bench.marks import marks
from jobs import job
from search import indexing
from search.documents import kind as kind_of


@job(queue="default")
def nothing(number: int) -> None:
    """Leave a mark, do nothing."""
    marks().ran(number)


@job(queue="indexing", time_limit=120)
def index_one(kind: str, pk: str) -> None:
    """Index one document, as a task without batches would."""
    indexing.index(kind_of(kind), [pk])
