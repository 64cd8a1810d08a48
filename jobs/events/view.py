"""`GET /api/events`: who may listen, to what, since when."""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from http import HTTPStatus

from asgiref.sync import SyncToAsync, sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, QueryDict, StreamingHttpResponse

from jobs.core.states import State
from jobs.events import access, change, logs, replay, stopping
from jobs.events.access import MayGoOn
from jobs.events.change import Position, Wanted
from jobs.events.hub import hub
from jobs.events.stream import Stream
from jobs.operations.problems import Problem, invalid
from jobs.tasks.registry import names_of

logger = logging.getLogger(__name__)

#: What a stream begins with: after how many milliseconds to come back, and that nothing is missed from here on.
OPENING = b"retry: 2000\n\nevent: listening\ndata: {}\n\n"

#: What may be asked for.
PARAMETERS = ("state", "queue", "task", "job", "group", "ticks", "logs", "last_event_id")

HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


async def events(request: HttpRequest) -> HttpResponseBase:
    """Stream changes of jobs as they happen.

    `state`, `queue`, `task`, `job` and `group` restrict them; each may be repeated. `ticks=1` asks for the number of
    changes once a second instead, `logs=1` for what the named jobs log as well. `Last-Event-ID`, as header or as
    `last_event_id`, asks for what was missed.
    """
    try:
        if request.method != "GET":
            raise Problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{request.method} is not possible here; possible: GET.",
                headers={"Allow": "GET"},
            )
        caller = await sync_to_async(access.let_in)(request)
        wanted = read(request.GET)
        access.check_limits(caller.key)
        if not isinstance(request, ASGIRequest):
            raise Problem(HTTPStatus.NOT_IMPLEMENTED, "Live events need an ASGI server: python -m project.web.")
    except Problem as problem:
        return problem.response()
    stopping.call_at_stop(hub.end)
    last_id = request.headers.get("Last-Event-ID") or request.GET.get("last_event_id", "")
    return EventStream(told(Stream(wanted, caller.key), last_id, partial(access.may_go_on, request)))


class EventStream(StreamingHttpResponse):
    """A response whose own generator is closed when the client leaves, not one around it: its end is the goodbye."""

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        super().__init__(pieces, content_type="text/event-stream", headers=HEADERS)
        self.pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.pieces


def read(given: QueryDict) -> Wanted:
    """Return what a stream is asked for. Raises Problem for what cannot be meant."""
    for name in given:
        if name not in PARAMETERS:
            # A slip of the pen must not listen to everything.
            raise invalid(name, given[name], f"is not known; known are {', '.join(PARAMETERS)}")
    for name in ("ticks", "logs"):
        if given.get(name, "0") not in {"0", "1"}:
            raise invalid(name, given[name], "must be 0 or 1")
    with_logs = given.get("logs") == "1"
    if with_logs and not (_words(given, "job") and given.get("ticks") != "1"):
        raise invalid("logs", "1", "is told of single jobs, each with its changes: name them by job=, without ticks=1")
    return Wanted(
        states=frozenset(_state(word) for word in _words(given, "state")),
        queues=frozenset(_words(given, "queue")),
        tasks=frozenset(name for word in _words(given, "task") for name in names_of(word)),
        jobs=frozenset(_id("job", word) for word in _words(given, "job")),
        groups=frozenset(_id("group", word) for word in _words(given, "group")),
        ticks=given.get("ticks") == "1",
        logs=with_logs,
    )


async def told(stream: Stream, last_id: str, may_go_on: MayGoOn) -> AsyncGenerator[bytes, None]:
    """Return what a client is sent, for as long as it takes it and may have it."""
    stream.attend()
    _leave_thread()
    hub.join(stream)
    watching = asyncio.create_task(access.watch(stream, may_go_on))
    try:
        if access.is_over_limit(stream):
            return
        await stream.listening.wait()
        yield OPENING
        if last_id and not stream.wanted.ticks:
            async for piece in _missed(last_id, stream.wanted):
                if stream.ended:
                    return
                yield piece
        if stream.wanted.logs:
            async for piece in _pages(logs.logged(stream.wanted.jobs)):
                yield piece
        async with aclosing(stream.pieces()) as pieces:
            async for piece in pieces:
                yield piece
    finally:
        watching.cancel()
        hub.leave(stream)
        if stream.dropped:
            logger.info("A listener to live events was dropped: it did not take what it was sent.")


def _leave_thread() -> None:
    """Let the thread go that Django keeps for the synchronous parts of a request until its end.

    Letting somebody in was the last of them, and hundreds of streams would keep hundreds of idle threads.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    executor = SyncToAsync.context_to_thread_executor.pop(context, None) if context is not None else None
    if executor is not None:
        executor.shutdown(wait=False)


async def _missed(last_id: str, wanted: Wanted) -> AsyncIterator[bytes]:
    since = Position.read(last_id)
    if since is None:
        yield change.written("reset", {"reason": "The last event's id is not one of ours."})
        return
    try:
        async for page in _pages(replay.missed(since, wanted)):
            yield page
    except replay.TooLong:
        yield change.written("reset", {"reason": "Too much was missed to be told."})


async def _pages(pages: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Return what is read page by page in a thread, which is left at the end."""
    try:
        while (page := await sync_to_async(_next)(pages)) is not None:
            yield page
    finally:
        _leave_thread()


def _next(pages: Iterator[bytes]) -> bytes | None:
    try:
        return next(pages, None)
    finally:
        # Now, not at the end: a client may leave before it, and nobody would come back to this thread.
        connection.close()


def _words(given: QueryDict, name: str) -> list[str]:
    return [word for text in given.getlist(name) for word in text.split(",") if word]


def _state(word: str) -> State:
    if word not in set(State):
        raise invalid("state", word, f"must be one of {', '.join(State)}")
    return State(word)


def _id(name: str, word: str) -> uuid.UUID:
    try:
        return uuid.UUID(word)
    except ValueError:
        raise invalid(name, word, f"must be the id of a {name}, a UUID") from None
