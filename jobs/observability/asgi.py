"""The correlation id around a whole request: the server's own log lines about it have it too."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jobs.core.correlation import HEADER, chosen, correlated

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_HEADER = HEADER.lower().encode()


def correlated_requests(application: Application) -> Application:
    """Let each request of an ASGI application have its id from its first line on: uvicorn writes its line last."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
        with correlated(chosen(given.decode("latin-1"))):
            await application(scope, receive, send)

    return answer
