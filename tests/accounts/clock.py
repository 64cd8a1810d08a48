"""A clock that stands still unless a test sets it forward."""

import time
from datetime import timedelta

import pytest

HOUR = 3600


class Clock:
    """Replaces `time.time()`, which signatures and throttles go by. It begins at a full hour, as do all windows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = time.time() // HOUR * HOUR
        monkeypatch.setattr(time, "time", lambda: self._now)

    def advance(self, by: timedelta) -> None:
        """Let this much time pass."""
        self._now += by.total_seconds()
