"""How times, durations, tries and ids are put into words, for pages and terminals alike."""

from datetime import datetime, timedelta

from jobs.models import Job

NOTHING = "–"  # noqa: RUF001  A dash, as long as it should be.

#: Units with their seconds, and how many seconds are one of the next.
_UNITS = (("s", 1, 60), ("min", 60, 3_600), ("h", 3_600, 86_400))
_DAY = 86_400


def ago(value: datetime, now: datetime) -> str:
    """Return how long ago a time was, or how soon it comes, to the nearest of its largest unit."""
    seconds = (now - value).total_seconds()
    distance = abs(round(seconds))
    if distance < 5:
        return "just now"
    words = _in_largest_unit(distance)
    return f"in {words}" if seconds < 0 else f"{words} ago"


def duration(value: timedelta | float | None) -> str:
    """Return a duration as people read it: `12 ms`, `1.2 s`, `3 min`, `5 h`, `2 days`."""
    if value is None:
        return NOTHING
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return _in_largest_unit(int(seconds + 0.5))


def _in_largest_unit(seconds: int) -> str:
    """Return seconds to the nearest of their largest unit: what is a moment short of two days is no single one."""
    for unit, size, of_next in _UNITS:
        count = _nearest(seconds, size)
        if count * size < of_next:
            return f"{count} {unit}"
    days = _nearest(seconds, _DAY)
    return "1 day" if days == 1 else f"{days} days"


def _nearest(seconds: int, size: int) -> int:
    return (seconds + size // 2) // size


def short_id(value: object) -> str:
    """Return the last eight characters of an id: of a UUIDv7 the ones that differ."""
    return str(value)[-8:]


def tries(job: Job) -> str:
    """Return the attempt of how many: `2/6`."""
    most = "∞" if job.max_retries is None else job.attempt_base + job.max_retries + 1
    return f"{job.attempt}/{most}"
