"""HTTP/1.1 with a time limit for the head of a request, which uvicorn waits for without end."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

#: How long the head of a request may take, in seconds, from the connection or from the end of the answer before it.
#: A browser sends it at once; a phone with a bad line may need some seconds. (nginx and Apache allow 60 and 20.)
HEAD_SECONDS = 10.0

#: So many connections beyond the limit are still told so (503); the ones after them are closed without a word.
REFUSED_WITH_A_WORD = 50


class BoundedProtocol(H11Protocol):
    """One connection. A half-open one is closed after `HEAD_SECONDS`, so that it holds its descriptor no longer."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop with each new connection."""
        if self.limit_concurrency and len(self.connections) >= self.limit_concurrency + REFUSED_WITH_A_WORD:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop when the connection is gone."""
        self._cancel_head_timer()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Called when an answer is sent in full: the head of another request may follow."""
        super().on_response_complete()
        if not self._is_answering():
            self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Called by the event loop with what the client sent."""
        super().data_received(data)
        if self._is_answering():
            self._cancel_head_timer()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Called for a request that asks for another protocol, which has time limits of its own."""
        self._cancel_head_timer()
        super().handle_websocket_upgrade(event)

    def _is_answering(self) -> bool:
        # There is none before the first request, whatever uvicorn's annotation says.
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _expect_head(self) -> None:
        self._cancel_head_timer()
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._close_half_open)

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close_half_open(self) -> None:
        self._head_timer = None
        if not self._is_answering():
            self.transport.abort()
