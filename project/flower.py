"""Flower behind its login. Flower leaves `/metrics` open, which names every task, worker and error, to everybody."""

from typing import Any

from django.conf import settings
from flower import urls
from flower.command import apply_env_options
from flower.views import BaseHandler, monitor
from flower.views.auth import LoginHandler
from tornado.routing import URLSpec
from tornado.web import RequestHandler, authenticated

#: What needs no login: where one logs in, and a probe, which is answered "OK" and nothing else. The files of Flower's
#: pages are no handler of its own.
OPEN = (LoginHandler, monitor.Healthcheck)


def ask_for_the_login_everywhere() -> None:
    """Have every address of Flower ask for the login, also those to come; to be called before Flower starts."""
    urls.handlers[:] = [_closed_route(route) for route in urls.handlers]


def follow_the_settings() -> None:
    """Have Flower take its `FLOWER_…` variables from the environment that the settings have completed.

    It has read them before: in a second terminal beside `make up`, the login came only with the settings.
    """
    if settings.FLOWER_BASIC_AUTH:
        apply_env_options()


def _closed_route(route: Any) -> Any:
    if isinstance(route, tuple):
        pattern, handler, *rest = route
        return (pattern, _closed(handler), *rest)
    return URLSpec(route.regex.pattern, _closed(route.handler_class), route.kwargs, route.name)


def _closed(handler: type[RequestHandler]) -> type[RequestHandler]:
    if not issubclass(handler, BaseHandler) or handler in OPEN:
        return handler

    def prepare(self: Any) -> Any:
        return handler.prepare(self)

    return type(handler.__name__, (handler,), {"prepare": authenticated(prepare), "__doc__": handler.__doc__})
