"""How times, durations, tries and ids are put into words, for pages and terminals alike."""

from datetime import datetime, timedelta

from jobs.models import Job

NOTHING = "–"  # noqa: RUF001  A dash, as long as it should be.

_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def ago(value: datetime, now: datetime) -> str:
    """Return how long ago a time was, or how soon it comes, in its largest unit."""
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
    unit, size = next((unit, size) for unit, size in _UNITS if seconds >= size)
    count = seconds // size
    return f"{count} days" if unit == "day" and count != 1 else f"{count} {unit}"


def short_id(value: object) -> str:
    """Return the last eight characters of an id: of a UUIDv7 the ones that differ."""
    return str(value)[-8:]


def tries(job: Job) -> str:
    """Return the attempt of how many: `2/6`."""
    most = "∞" if job.max_retries is None else job.attempt_base + job.max_retries + 1
    return f"{job.attempt}/{most}"
