"""An error in words, also where it has none: its own methods may raise."""

import traceback as tracebacks
from collections.abc import Callable


def message(error: BaseException) -> str:
    """Return what an error says, as `str` does."""
    return _said(str, error)


def shown(error: BaseException) -> str:
    """Return an error as code would make it, as `repr` does."""
    return _said(repr, error)


def traceback(error: BaseException) -> str:
    """Return an error with its traceback and those of its causes."""
    return _said(lambda error: "".join(tracebacks.format_exception(error)), error)


def _said(say: Callable[[BaseException], str], error: BaseException) -> str:
    try:
        return str(say(error))
    except BaseException as exc:  # noqa: BLE001 (it is the task's code, and its error is at hand already)
        return f"<{type(error).__qualname__}, which raises {type(exc).__qualname__} when it is put into words>"
