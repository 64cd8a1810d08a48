"""Who may go on listening: each stream's right is looked up anew with every heartbeat, and their number is limited."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

from asgiref.sync import sync_to_async
from django.core.cache import caches
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest
from redis.exceptions import RedisError

from jobs.conf import conf
from jobs.events import stream as streams
from jobs.events.hub import hub
from jobs.events.stream import Stream
from jobs.operations.access import Caller, Needs
from jobs.operations.problems import Problem
from jobs.operations.tokens import Scope

logger = logging.getLogger(__name__)

#: Whether a stream may go on. Asked in a thread; raises where nobody can tell.
MayGoOn = Callable[[], bool]

#: When somebody who found no room may try again.
FULL_SECONDS = 10

_needs = Needs(Scope.READ)


def let_in(request: HttpRequest) -> Caller:
    """Return who wants to listen. Raises Problem for somebody who may not."""
    try:
        return _needs(request)
    finally:
        _give_back()


def may_go_on(request: HttpRequest) -> bool:
    """Return whether who was let in still may: the token is good, the person logged in, active and permitted."""
    try:
        _needs.again(request)
    except Problem:
        return False
    finally:
        _give_back()
    return True


def _give_back() -> None:
    """Give connections back: a stream has no use for them."""
    connection.close()
    # Django keeps one to Redis for each request until its end.
    for alias in caches:
        with suppress(AttributeError):  # It was not used.
            del caches[alias]


def check_limits(caller: str) -> None:
    """Raise Problem where a token, a person or this process has as many streams as it may."""
    kind, most = _most_of(caller)
    if hub.count_of(caller) >= most:
        raise _full(HTTPStatus.TOO_MANY_REQUESTS, f"A {kind} may have {most} streams at a time; close one of them.")
    if hub.count >= conf().streams_per_process:
        raise _full(HTTPStatus.SERVICE_UNAVAILABLE, "This web process has as many streams as it may have.")


def is_over_limit(stream: Stream) -> bool:
    """Return whether a stream has found room together with others, and there was none for all of them."""
    _, most = _most_of(stream.caller)
    return hub.count_of(stream.caller) > most or hub.count > conf().streams_per_process


def _most_of(caller: str) -> tuple[str, int]:
    if caller.startswith("user:"):
        return "person", conf().streams_per_person
    return "token", conf().streams_per_token


def _full(status: HTTPStatus, detail: str) -> Problem:
    return Problem(status, f"{detail} Try again in {FULL_SECONDS} s.", headers={"Retry-After": str(FULL_SECONDS)})


async def watch(stream: Stream, may: MayGoOn) -> None:
    """End a stream when its client may not listen any more. Runs beside it, until it is cancelled."""
    while True:
        await asyncio.sleep(streams.HEARTBEAT)
        try:
            # In a thread of its own: that of the request is given back.
            allowed = await sync_to_async(may, thread_sensitive=False)()
        except (DatabaseError, InterfaceError, RedisError, OSError) as exc:
            # Nobody can tell; and nothing is read that could be told meanwhile.
            logger.warning("Whether a listener may go on cannot be looked up: %s", exc)
            continue
        if not allowed:
            break
    logger.info("A listener to live events may listen no more: the stream is ended.")
    stream.withdraw()
    await asyncio.sleep(streams.PATIENCE)
    stream.cancel()
