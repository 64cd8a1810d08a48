"""The times that a job can have. Pure."""

from datetime import UTC, datetime

#: Times of jobs lie between these. What is farther away is a mistake, and overflows once it is told in another time
#: zone; the longest countdown (`jobs.core.retry.TOO_LONG`) stays within.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2400, 1, 1, tzinfo=UTC)


def is_possible(moment: datetime) -> bool:
    """Return whether a job can have this time; one that names no zone is taken for UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return EARLIEST <= aware.astimezone(UTC) < LATEST
    except (OverflowError, ValueError):
        return False
