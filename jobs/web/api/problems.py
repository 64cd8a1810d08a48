"""What the API says when it cannot do something: RFC 9457's `application/problem+json`, with field, value and rule."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from pydantic import BaseModel

CONTENT_TYPE = "application/problem+json"

#: A value is repeated no longer than this, in characters of JSON.
VALUE_LENGTH = 200


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    #: Where it stands, as `kwargs.address.street` or `jobs.17.task`.
    field: str
    #: What was given, shortened; null where nothing was.
    value: Any = None
    #: What it must be.
    rule: str


class ProblemOut(BaseModel):
    """Why a request was not carried out."""

    type: str
    title: str
    status: int
    #: What to do about it, in words.
    detail: str
    errors: list[FieldError]


@dataclass
class Problem(Exception):
    """Raised where a request cannot be carried out.

    Attributes:
        status: of HTTP.
        detail: what is wrong and what to do, in words.
        errors: the fields at fault.
        headers: what else the answer has.
    """

    status: HTTPStatus
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> HttpResponse:
        """Return the answer."""
        body = ProblemOut(
            type="about:blank",
            title=self.status.phrase,
            status=self.status,
            detail=self.detail,
            errors=list(self.errors),
        )
        return HttpResponse(
            body.model_dump_json(), status=self.status, content_type=CONTENT_TYPE, headers=dict(self.headers)
        )


def shortened(value: Any) -> Any:
    """Return a value as an error repeats it."""
    try:
        text = json.dumps(value, default=str)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        return None
    return value if len(text) <= VALUE_LENGTH else text[:VALUE_LENGTH] + "…"


def invalid(field: str, value: Any, rule: str) -> Problem:
    """Return the problem of one field with a wrong value."""
    return refused([FieldError(field=field, value=shortened(value), rule=rule)])


def refused(errors: Sequence[FieldError]) -> Problem:
    """Return the problem of a request with wrong values."""
    first = errors[0]
    more = f" ({len(errors) - 1} more in `errors`)" if len(errors) > 1 else ""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{first.field}: {first.rule}{more}.", errors)


def missing(what: str, key: object, hint: str = "It may have been pruned.") -> Problem:
    """Return the problem of something that is not there."""
    return Problem(HTTPStatus.NOT_FOUND, f"There is no {what} {key}. {hint}")
