"""What costs a look at many rows is looked up once for all who ask within a moment, by each process for itself."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class _Answer:
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Any = None
    until: float = 0.0


_answers: dict[str, _Answer] = {}


def remembered(key: str, seconds: float, ask: Callable[[], T]) -> T:
    """Return the answer given within the last `seconds`, or ask; those who come meanwhile wait for that answer."""
    answer = _answers.setdefault(key, _Answer())
    if time.monotonic() < answer.until:
        value: T = answer.value
        return value
    with answer.lock:
        if time.monotonic() >= answer.until:
            answer.value = ask()
            answer.until = time.monotonic() + seconds
        fresh: T = answer.value
        return fresh


def forget() -> None:
    """Forget every answer: tests change what the answers are about."""
    _answers.clear()
