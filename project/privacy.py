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
    # A session that was asked for anything is loaded: to look into it costs nothing.
    if request.session.accessed and SESSION_KEY in request.session and not response.has_header("Cache-Control"):
        add_never_cache_headers(response)
    return response
