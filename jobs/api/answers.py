"""Every way in which a request can fail, turned into a problem; and what every answer has in its head."""

import logging
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from itertools import islice
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.cache import add_never_cache_headers
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError, ValidationErrorContext
from ninja.openapi.docs import ABS_TPL_PATH, Swagger
from ninja.parser import Parser
from ninja.renderers import JSONRenderer
from ninja.responses import NinjaJSONEncoder
from pydantic_core import ErrorDetails

from jobs.api.described import describe_events, describe_problems
from jobs.operations.job_json import time_json
from jobs.operations.problems import MOST_ERRORS, FieldError, Problem, invalid, refused, shortened
from jobs.operations.values import OddValue, read_json
from jobs.tasks.redaction import HIDDEN

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]

#: Which part of a request a field is in, where that needs no saying.
_PLACES = frozenset({"body", "query", "path", "header", "form"})


#: The types of body that Django reads as forms.
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


class JsonParser(Parser):
    """Reads bodies, whatever is in them."""

    def parse_body(self, request: HttpRequest) -> Any:
        """Return a body's JSON. Raises Problem where it is none."""
        try:
            return read_json(request.body)
        except OddValue as exc:
            raise invalid(exc.field or "body", None, exc.rule) from None
        except ValueError as exc:
            raise Problem(HTTPStatus.BAD_REQUEST, f"The body must be JSON: {exc}.") from None


class _Encoder(NinjaJSONEncoder):
    def default(self, o: Any) -> Any:
        # Django's own drops what is below a millisecond, and then no time fits the row it was read from.
        return time_json(o) if isinstance(o, datetime) else super().default(o)


class JsonRenderer(JSONRenderer):
    """Writes answers, times as live events write them."""

    encoder_class = _Encoder


class Documentation(Swagger):
    """The page that shows the API, with its scripts from this site."""

    # What Ninja takes where it is no installed app; its own would load its scripts from elsewhere.
    template_cdn = str(ABS_TPL_PATH / "swagger.html")


class ProblemApi(NinjaAPI):
    """An API whose every error is a problem with field, value and rule."""

    def validation_error_from_error_contexts(
        self, error_contexts: list[ValidationErrorContext[Any]]
    ) -> ValidationError:
        """Return what is wrong with a request, the values included."""
        found = (error for context in error_contexts for error in context.pydantic_validation_error.errors())
        errors = [
            FieldError(field=_field(error["loc"]), value=_value(error), rule=error["msg"][0].lower() + error["msg"][1:])
            # One more than is answered, which says that there are more.
            for error in islice(found, MOST_ERRORS + 1)
        ]
        return ValidationError([error.model_dump() for error in errors])

    def get_openapi_schema(self, **options: Any) -> Any:
        """Return the schema, with live events, and with the problems that every operation may answer."""
        schema = super().get_openapi_schema(**options)
        describe_events(schema)
        describe_problems(schema)
        return schema


def _field(place: tuple[int | str, ...]) -> str:
    """Return where a field stands: without the part of the request and the name that our code gives it."""
    parts = list(place)
    if parts and parts[0] in _PLACES:
        parts = parts[1:]
    if len(parts) > 1 and parts[0] in {"body", "query"}:
        parts = parts[1:]
    return ".".join(str(part) for part in parts)


def _value(error: ErrorDetails) -> Any:
    """Return the value at fault. Where arguments stand, nobody has said yet of which task: then they are hidden."""
    if error["type"] == "missing":
        return None
    return HIDDEN if "kwargs" in error["loc"] else shortened(error["input"])


def handle_problems(api: NinjaAPI) -> None:
    """Let an API answer every error as a problem."""
    api.add_exception_handler(Problem, _problem)
    api.add_exception_handler(ValidationError, _not_valid)
    api.add_exception_handler(Http404, _not_found)
    api.add_exception_handler(HttpError, _http_error)
    api.add_exception_handler(RequestDataTooBig, _too_big)
    api.add_exception_handler(OperationalError, _database_gone)
    api.add_exception_handler(InterfaceError, _database_gone)
    for beyond in (DataError, OverflowError, RecursionError, UnicodeEncodeError):
        api.add_exception_handler(beyond, _beyond)
    api.add_exception_handler(Exception, _failed)


def _problem(request: HttpRequest, exc: Any) -> HttpResponse:
    answer: HttpResponse = exc.response()
    return answer


def _not_found(request: HttpRequest, exc: Any) -> HttpResponse:
    return nowhere(request)


def _not_valid(request: HttpRequest, exc: Any) -> HttpResponse:
    return refused([FieldError(**error) for error in exc.errors]).response()


def _too_big(request: HttpRequest, exc: Any) -> HttpResponse:
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    detail = f"The body must not have more than {most:,} bytes; send the jobs in several requests."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail).response()


def _http_error(request: HttpRequest, exc: Any) -> HttpResponse:
    # Ninja wraps what the parser says of a body.
    cause = exc.__cause__
    return (cause if isinstance(cause, Problem) else Problem(HTTPStatus(exc.status_code), f"{exc}")).response()


def _database_gone(request: HttpRequest, exc: Any) -> HttpResponse:
    logger.warning("The API could not answer %s: %s", request.path, exc)
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database does not answer; nothing was changed. Try again in a moment.",
        headers={"Retry-After": "5"},
    ).response()


def _beyond(request: HttpRequest, exc: Any) -> HttpResponse:
    logger.warning("A value of %s %s cannot be held.", request.method, request.path, exc_info=exc)
    return invalid("request", None, "has a value beyond what can be held").response()


def _failed(request: HttpRequest, exc: Any) -> HttpResponse:
    logger.error("The API failed at %s %s.", request.method, request.path, exc_info=exc)
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side; it is in the log with this request's id."
    ).response()


def _of_a_form(request: HttpRequest) -> HttpResponse | None:
    """Answer a request whose body is a form, which nothing here reads; one without fields counts as no body at all."""
    if request.content_type not in _FORMS:
        return None
    if request.POST or request.FILES:
        detail = f"The body must be JSON (Content-Type: application/json), not {request.content_type}."
        return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail).response()
    # Django has read it, and would say so to whoever looks for a body.
    request._body = b""  # noqa: SLF001
    return None


@csrf_exempt
def nowhere(request: HttpRequest) -> HttpResponse:
    """Answer an address that leads nowhere."""
    detail = f"There is nothing at {request.path}; /api/docs shows what there is."
    return Problem(HTTPStatus.NOT_FOUND, detail).response()


def finished(view: View) -> View:
    """Give every answer of a view what all of them have: rates, no caching, and a problem for a wrong method."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = _of_a_form(request) or view(request, *args, **kwargs)
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = response.headers.get("Allow", "")
            response = Problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{request.method} is not possible here; possible: {allowed}.",
                headers={"Allow": allowed},
            ).response()
        allowance = getattr(request, "allowance", None)
        if allowance is not None:
            for name, value in allowance.headers().items():
                response.headers[name] = value
        add_never_cache_headers(response)
        return response

    return answer
