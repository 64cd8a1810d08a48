"""Quiet hours: a part of each day, which may go over midnight. Pure."""

from datetime import time


def is_quiet(now: time, begins: time | None, ends: time | None) -> bool:
    """Return whether a time of day lies in quiet hours: from `begins` on, and before `ends`. Without both never."""
    if begins is None or ends is None:
        return False
    return begins <= now < ends if begins <= ends else now >= begins or now < ends
