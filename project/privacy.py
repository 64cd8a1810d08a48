"""What somebody sees who is logged in is theirs: no browser, no proxy keeps it, unless its view says for how long."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import sync_and_async_middleware


@sync_and_async_middleware
def keep_private_pages_private(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Forbid to keep answers that were made with the session of somebody who is logged in."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            return _private(request, await get_response(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        return _private(request, get_response(request))

    return answer


def _private(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if _is_somebodys(request) and not response.has_header("Cache-Control"):
        add_never_cache_headers(response)
    return response


def _is_somebodys(request: HttpRequest) -> bool:
    """Return whether the session that was asked for anything is that of somebody logged in, or could not be loaded."""
    if not request.session.accessed:
        return False
    # Where its database is away it is not loaded, and asking again would fail here instead of there.
    return "_session_cache" not in vars(request.session) or SESSION_KEY in request.session
