"""Django refuses its connections to a thread that runs an asyncio event loop; Flower's buttons come from such a one."""

import asyncio
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_helper: tuple[int, ThreadPoolExecutor] | None = None


def outside_event_loop(function: F) -> F:
    """Have a function run in a helper thread where the caller's runs an event loop. The caller waits as it would."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if asyncio._get_running_loop() is None:  # noqa: SLF001 (documented, "for event loop implementers")
            return function(*args, **kwargs)
        return _executor().submit(function, *args, **kwargs).result()

    return call  # type: ignore[return-value]


def _executor() -> ThreadPoolExecutor:
    global _helper  # noqa: PLW0603 (one per process by nature)
    if _helper is None or _helper[0] != os.getpid():
        _helper = os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="jobs-transport")
    return _helper[1]
