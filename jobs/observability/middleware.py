"""Gives every request its correlation id, and its place in a trace."""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

from jobs.core.correlation import HEADER, chosen, correlated, current
from jobs.enqueue import tracing
from jobs.observability.masking import masked

Get = Callable[[HttpRequest], Any]


@sync_and_async_middleware
def request_context(get_response: Get) -> Get:
    """Let a request, its logs and its jobs share one id: the one in X-Request-ID, or a new one."""
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            answer: Callable[[HttpRequest], Awaitable[HttpResponse]] = get_response
            correlation_id = _id(request)
            with correlated(correlation_id), _span(request) as span:
                return _finished(await answer(request), correlation_id, request, span)

        return answer_async

    def answer(request: HttpRequest) -> HttpResponse:
        correlation_id = _id(request)
        with correlated(correlation_id), _span(request) as span:
            return _finished(get_response(request), correlation_id, request, span)

    return answer


def _id(request: HttpRequest) -> str:
    """Return the id that was chosen around the request; under WSGI, and in tests, nobody has."""
    return current() or chosen(request.headers.get(HEADER, ""))


def _span(request: HttpRequest) -> Any:
    # The route is known only once the address has been resolved.
    headers = {name: request.headers[name] for name in tracing.HEADERS if name in request.headers}
    return tracing.request_span(request.method or "", masked(request.path), headers)


def _finished(response: HttpResponse, correlation_id: str, request: HttpRequest, span: Any) -> HttpResponse:
    response.headers[HEADER] = correlation_id
    if span.is_recording():
        match = request.resolver_match
        route = match.route if match else masked(request.path)
        span.update_name(f"{request.method} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("http.request.method", request.method)
        span.set_attribute("http.response.status_code", response.status_code)
    return response
