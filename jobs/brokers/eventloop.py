"""Django refuses its connections to a thread that runs an asyncio event loop; Flower's buttons come from such a one."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import connections

F = TypeVar("F", bound=Callable[..., Any])


def outside_event_loop(function: F) -> F:
    """Have a function run in another thread where the caller's runs an event loop. The caller waits as it would."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if asyncio._get_running_loop() is None:  # noqa: SLF001 (documented, "for event loop implementers")
            return function(*args, **kwargs)
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(_alone, function, *args, **kwargs).result()

    return call  # type: ignore[return-value]


def _alone(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    finally:
        connections.close_all()
