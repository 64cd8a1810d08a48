"""An error in words, also where it has none: its own methods may raise."""

import traceback as tracebacks
from collections.abc import Callable
from types import TracebackType


def message(error: BaseException) -> str:
    """Return what an error says, as `str` does."""
    return _said(str, error)


def shown(error: BaseException) -> str:
    """Return an error as code would make it, as `repr` does."""
    return _said(repr, error)


def traceback(error: BaseException, package: str = "") -> str:
    """Return an error with its traceback and those of its causes.

    Args:
        error: any.
        package: its frames are left out at the beginning: they are those of who called, and say nothing of the error.
    """

    def say(error: BaseException) -> str:
        return "".join(tracebacks.format_exception(type(error), error, _below(error.__traceback__, package)))

    return _said(say, error)


def _below(first: TracebackType | None, package: str) -> TracebackType | None:
    """Return a traceback from the first frame that is not of the package; all of it where there is none."""
    frame = first
    while package and frame is not None:
        if not str(frame.tb_frame.f_globals.get("__name__", "")).startswith(package):
            return frame
        frame = frame.tb_next
    return first


def _said(say: Callable[[BaseException], str], error: BaseException) -> str:
    try:
        return str(say(error))
    except BaseException as exc:  # noqa: BLE001 (it is the task's code, and its error is at hand already)
        return f"<{type(error).__qualname__}, which raises {type(exc).__qualname__} when it is put into words>"
