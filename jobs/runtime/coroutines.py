"""What a task's function returned, run to its end where it is a coroutine (`@job async def`)."""

import asyncio
import inspect
from collections.abc import Awaitable
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections

from jobs.errors import Permanent


def finished(returned: Any) -> Any:
    """Return what a task's function returned, having run it to its end where it only promised to.

    The coroutine runs in the calling thread, in an event loop of its own, so that `task.request`, the context of logs
    and the soft time limit hold inside it.

    Raises:
        Permanent: it is a generator, which nobody would iterate.
    """
    if inspect.isawaitable(returned):
        return asyncio.run(_alone(returned))
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        returned_by = getattr(returned, "__qualname__", returned)
        raise Permanent(f"{returned_by} returned a generator, whose body nobody runs: a task must return or await.")
    return returned


async def _alone(awaitable: Awaitable[Any]) -> Any:
    """Await it with a thread of its own for Django's `sync_to_async`, and close the connections opened there."""
    async with ThreadSensitiveContext():
        try:
            return await awaitable
        finally:
            # They belong to that thread, which ends: nobody else could close them.
            await sync_to_async(connections.close_all)()
