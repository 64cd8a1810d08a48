"""Hearing that the server stops. It waits for open requests, and a stream would never end by itself."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_installed = False


def call_at_stop(callback: Callable[[], None]) -> None:
    """Call `callback` when this process is told to stop, before whoever else wants to hear of it.

    ASGI tells an application of the end only after its last request. Only the main thread may listen to signals;
    servers run their loop there.
    """
    global _installed  # noqa: PLW0603  One process, one set of handlers.
    if _installed or threading.current_thread() is not threading.main_thread():
        return
    _installed = True
    for number in _SIGNALS:
        _chain(number, callback)


def _chain(number: signal.Signals, callback: Callable[[], None]) -> None:
    earlier = signal.getsignal(number)

    def handle(received: int, frame: FrameType | None) -> None:
        callback()
        if callable(earlier):
            earlier(received, frame)
        elif earlier == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    signal.signal(number, handle)
