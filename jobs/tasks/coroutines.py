"""What a task's function returned, run to its end where it is a coroutine (`@job async def`)."""

import asyncio
import inspect
import signal
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from billiard.exceptions import SoftTimeLimitExceeded
from billiard.pool import SIG_SOFT_TIMEOUT
from django.db import connections

from jobs.errors import Permanent


def finished(returned: Any) -> Any:
    """Return what a task's function returned, having run it to its end where it only promised to.

    The coroutine runs in the calling thread, in an event loop of its own, so that `task.request`, the context of logs
    and the soft time limit hold inside it.

    Raises:
        SoftTimeLimitExceeded: the soft limit passed, and the coroutine did not catch that it was cancelled for it.
        Permanent: it is a generator, which nobody would iterate, or came to another coroutine.
    """
    if inspect.isawaitable(returned):
        returned = asyncio.run(_within_its_limit(returned))
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        returned_by = getattr(returned, "__qualname__", returned)
        raise Permanent(f"{returned_by} returned a generator, whose body nobody runs: a task must return or await.")
    if inspect.iscoroutine(returned):
        returned.close()
        raise Permanent(
            f"The task returned the coroutine {returned.__qualname__}(), which nobody awaits: it must await it."
        )
    return returned


async def _within_its_limit(awaitable: Awaitable[Any]) -> Any:
    """Await it; its soft limit cancels what it awaits."""
    passed = threading.Event()
    with _heard(passed):
        try:
            return await _alone(awaitable)
        except asyncio.CancelledError:
            if passed.is_set():
                raise SoftTimeLimitExceeded from None
            raise


@contextmanager
def _heard(passed: threading.Event) -> Iterator[None]:
    """Let the soft limit's signal cancel the running coroutine.

    A pool process raises it wherever its main thread is: in a loop that may be any other coroutine, which would end in
    its stead. In a pool of threads there is no such signal.
    """
    handler = signal.getsignal(SIG_SOFT_TIMEOUT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def cancel(*_: object) -> None:
        passed.set()
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    signal.signal(SIG_SOFT_TIMEOUT, cancel)
    try:
        yield
    finally:
        signal.signal(SIG_SOFT_TIMEOUT, handler)


async def _alone(awaitable: Awaitable[Any]) -> Any:
    """Await it with a thread of its own for Django's `sync_to_async`, and close the connections opened there."""
    async with ThreadSensitiveContext():
        try:
            return await awaitable
        finally:
            # They belong to that thread, which ends: nobody else could close them.
            await sync_to_async(connections.close_all)()
