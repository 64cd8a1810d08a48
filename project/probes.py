"""Answers to probes, before anything looks at the Host: orchestrators and Prometheus ask a process by its address."""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from jobs.metrics.view import metrics, shows_token
from jobs.observability.health import livez, readyz

Answer = Callable[[HttpRequest], HttpResponseBase]
AsyncAnswer = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

_PROBES: dict[str, AsyncAnswer] = {"/livez": livez, "/readyz": readyz, "/metrics": sync_to_async(metrics)}


@sync_and_async_middleware
def answer_probes(get_response: Callable[[HttpRequest], Any]) -> Answer | AsyncAnswer:
    """Answer `/livez`, `/readyz`, and `/metrics` to who shows a token, whatever the Host; pass on everything else.

    Without a token `/metrics` is a page like the others: a session says who looks, and sessions need the right Host.
    """
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            probe = _probe(request)
            response: HttpResponseBase = await (probe or get_response)(request)
            return response

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        probe = _probe(request)
        response: HttpResponseBase = async_to_sync(probe)(request) if probe else get_response(request)
        return response

    return answer


def _probe(request: HttpRequest) -> AsyncAnswer | None:
    if request.path_info == "/metrics" and not shows_token(request):
        return None
    return _PROBES.get(request.path_info)
