"""HTTP/1.1 with time limits for the head of a request and for taking its answer, where uvicorn waits without end."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

#: How long the head of a request may take, in seconds, from the connection or from the end of the answer before it.
#: A browser sends it at once; a phone with a bad line may need some seconds. (nginx and Apache allow 60 and 20.)
HEAD_SECONDS = 10.0

#: How long a client may take nothing of what waits to be sent to it, in seconds. However slowly it takes something, it
#: gets its answer. (nginx's `send_timeout` is 60.)
SEND_SECONDS = 30.0

#: So many connections beyond the limit are still told so (503); the ones after them are closed without a word.
REFUSED_WITH_A_WORD = 50


class BoundedProtocol(H11Protocol):
    """One connection. One that is half open, or whose client does not read, does not hold its descriptor for ever."""

    head_seconds = HEAD_SECONDS
    send_seconds = SEND_SECONDS

    _timer: asyncio.TimerHandle | None = None
    #: Bytes that waited to be sent when the timer was set.
    _unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop with each new connection."""
        if self.limit_concurrency and len(self.connections) >= self.limit_concurrency + REFUSED_WITH_A_WORD:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._set_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop when the connection is gone."""
        self._cancel_timer()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Called when an answer is written in full: what is left of it is sent, then another request may follow."""
        super().on_response_complete()
        if not self._is_answering():
            self._set_timer()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop with what the client sent."""
        super().data_received(data)
        if self._is_answering() and not self.flow.write_paused:
            self._cancel_timer()

    def pause_writing(self) -> None:
        """Called by the event loop when much waits to be sent: nothing more is written until the client takes it."""
        super().pause_writing()
        self._set_timer()

    def resume_writing(self) -> None:
        """Called by the event loop when the client has taken most of that."""
        super().resume_writing()
        if self._is_answering():
            self._cancel_timer()
        else:
            self._set_timer()

    def _is_answering(self) -> bool:
        # There is none before the first request, whatever uvicorn's annotation says.
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _set_timer(self) -> None:
        self._cancel_timer()
        self._unsent = self.transport.get_write_buffer_size()
        seconds = self.send_seconds if self._unsent else self.head_seconds
        self._timer = self.loop.call_later(seconds, self._end_if_stalled)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_if_stalled(self) -> None:
        if self.transport.get_write_buffer_size() < self._unsent:
            self._set_timer()
        else:
            self.transport.abort()
