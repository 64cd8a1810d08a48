"""A task's code, called so that nothing it raises gets past the engine but errors."""

import os
import traceback as tracebacks
from collections.abc import Callable
from typing import Any, TypeVar

from billiard.common import terminate_handler_fired
from celery.exceptions import WorkerShutdown, WorkerTerminate

from jobs.core import described

T = TypeVar("T")


class Escaped(Exception):
    """The error of a task that raised what is no error, but ends a thread or process: SystemExit, CancelledError."""


def contained(request: Any, call: Callable[[], T]) -> T:
    """Call the code of a task whose request this is.

    Raises:
        Escaped: it raised what is no `Exception`. `sys.exit()` in a task ends the attempt, not its pool process.
        SystemExit: the pool process was told to end.
    """
    try:
        return call()
    except MemoryError as exc:
        # What the task had taken lives on in its frames; to record its end needs some of it.
        tracebacks.clear_frames(exc.__traceback__)
        raise
    except Exception:
        raise
    except BaseException as exc:
        if ends_process(exc, request.parent_pid):
            raise
        raise escaped(exc) from exc


def escaped(exc: BaseException) -> Escaped:
    """Return the error of what is no error."""
    return Escaped(f"The task raised {described.shown(exc)}, which would have ended its thread.")


def ends_process(exc: BaseException, parent_pid: int | None) -> bool:
    """Return whether this was raised to end the worker, or the pool process that the caller is."""
    if isinstance(exc, (WorkerShutdown, WorkerTerminate)):
        return True
    return isinstance(exc, SystemExit) and os.getpid() != parent_pid and bool(terminate_handler_fired())
