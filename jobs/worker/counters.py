"""What a worker's parent process counts in memory, for want of a row that tells of it; written with its entry."""

from collections import Counter
from threading import Lock

_counts: Counter[str] = Counter()
_lock = Lock()


def add(name: str, number: int = 1) -> None:
    """Count something."""
    with _lock:
        _counts[name] += number


def counts() -> dict[str, int]:
    """Return what has been counted since this process started."""
    with _lock:
        return dict(_counts)
