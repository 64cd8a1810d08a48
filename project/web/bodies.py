"""Bounds on the body of a request, applied before anything of it is stored.

Django spools a body to disk in full before the first middleware runs, whoever sends it. So the ASGI application counts
what comes in, and hands Django no more than is allowed; the middleware then answers in its stead.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import sync_and_async_middleware

from jobs.observability.asgi import Application, Receive, Scope, Send
from jobs.operations.problems import Problem
from project.values import refusing_odd_values

#: What a request without any credentials may bring: a form of the front door is a hundredth of it.
ANONYMOUS_BYTES = 128 * 1024
#: How long the next piece of a body may take, and the whole of it, in seconds.
PIECE_SECONDS, BODY_SECONDS = 20.0, 300.0

#: Where the ASGI application leaves for the middleware why it cut a body off.
_REFUSAL = "nightshift.refusal"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a body was not read to its end."""

    status: HTTPStatus
    reason: str


def bounded_bodies(
    application: Application,
    *,
    most_bytes: int,
    piece_seconds: float = PIECE_SECONDS,
    body_seconds: float = BODY_SECONDS,
) -> Application:
    """Let an ASGI application read at most `most_bytes` of each body, and wait for it within bounds.

    A request without a cookie or an Authorization header may bring `ANONYMOUS_BYTES`. The next piece of a body must
    come within `piece_seconds`, the whole of it within `body_seconds`.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            receive = _Body(scope, receive, _limit(scope, most_bytes), piece_seconds, body_seconds).receive
        await application(scope, receive, send)

    return answer


def _limit(scope: Scope, most_bytes: int) -> int:
    known = any(name in {b"cookie", b"authorization"} for name, _ in scope["headers"])
    return most_bytes if known else min(most_bytes, ANONYMOUS_BYTES)


class _Body:
    """The body of one request. What is not read further ends there; the scope says why."""

    def __init__(self, scope: Scope, receive: Receive, limit: int, piece_seconds: float, body_seconds: float) -> None:
        self._scope = scope
        self._receive = receive
        self._limit = limit
        self._bytes = 0
        self._ended = False
        self._piece_seconds = piece_seconds
        self._deadline = asyncio.get_running_loop().time() + body_seconds
        if (announced := _announced(scope)) is not None and announced > limit:
            self._refuse(self._too_large(f"{announced:,} bytes were announced"))

    async def receive(self) -> Mapping[str, Any]:
        """Return the next ASGI message."""
        if _REFUSAL in self._scope and not self._ended:
            self._ended = True
            return _END
        if self._ended:
            return await self._after_the_end()
        try:
            async with asyncio.timeout(min(self._piece_seconds, self._left())):
                message = await self._receive()
        except TimeoutError:
            self._refuse(Refusal(HTTPStatus.REQUEST_TIMEOUT, "Its body did not come in time."))
            return await self.receive()
        return await self._counted(message)

    async def _after_the_end(self) -> Mapping[str, Any]:
        """Return what comes after the body: that the client has gone. The rest of one cut off is not asked for.

        To ask would be to tell a client that waits for it (`Expect: 100-continue`) to send all of it.
        """
        return await (_never() if _REFUSAL in self._scope else self._receive())

    async def _counted(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        self._bytes += len(message.get("body") or b"")
        if self._bytes > self._limit:
            self._refuse(self._too_large("more came"))
            return await self.receive()
        self._ended = not message.get("more_body", False)
        return message

    def _left(self) -> float:
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    def _refuse(self, refusal: Refusal) -> None:
        self._scope[_REFUSAL] = refusal

    def _too_large(self, what: str) -> Refusal:
        return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body may have {self._limit:,} bytes here, and {what}.")


async def _never() -> Mapping[str, Any]:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


_END: Mapping[str, Any] = {"type": "http.request", "body": b"", "more_body": False}


def _announced(scope: Scope) -> int | None:
    """Return the Content-Length, or None where it says nothing: then the body is counted as it comes."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            # A number of more digits than that is too large, and slow to read.
            return int(value[:20])
    return None


@sync_and_async_middleware
def refuse_cut_off_bodies(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Answer 413 or 408 in the place of a view whose request has no whole body. The connection ends with it.

    Also 422, where a request has values that nothing can hold.
    """
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            refusal = _refusal(request)
            # In a thread: the page says who is logged in, which the database knows.
            response: HttpResponse = await (
                sync_to_async(_refused)(request, refusal) if refusal else get_response(request)
            )
            return response

        return refusing_odd_values(answer_async)

    def answer(request: HttpRequest) -> HttpResponse:
        refusal = _refusal(request)
        response: HttpResponse = _refused(request, refusal) if refusal else get_response(request)
        return response

    return refusing_odd_values(answer)


def _refusal(request: HttpRequest) -> Refusal | None:
    # Under WSGI, and in tests, there is no scope.
    found: Refusal | None = getattr(request, "scope", {}).get(_REFUSAL)
    return found


def _refused(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    if request.path.startswith("/api/"):
        response = Problem(refusal.status, refusal.reason).response()
    else:
        response = render(request, "body_refused.html", {"refusal": refusal}, status=refusal.status)
    # The rest of the body is not read: it would be taken for the next request.
    response.headers["Connection"] = "close"
    return response
