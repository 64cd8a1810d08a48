"""Our side: the smallest job there is. Found by the project's worker when EXTRA_APPS names this package."""

from bench.marks import marks
from jobs import job


@job(queue="default")
def nothing(number: int) -> None:
    """Leave a mark, do nothing."""
    marks().ran(number)
