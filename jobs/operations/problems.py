"""What the API says when it cannot do something: RFC 9457's `application/problem+json`, with field, value and rule."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any

from django.http import HttpResponse
from pydantic import BaseModel, BeforeValidator

CONTENT_TYPE = "application/problem+json"

#: A value is repeated no longer than this, in characters of JSON; the place of a field, in characters.
VALUE_LENGTH = FIELD_LENGTH = 200

#: The most errors an answer lists.
MOST_ERRORS = 100


def _place(field: str) -> str:
    short = field if len(field) <= FIELD_LENGTH else field[:FIELD_LENGTH] + "…"
    return short.encode("utf-8", "replace").decode()


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    #: Where it stands, as `kwargs.address.street` or `jobs.17.task`, shortened.
    field: Annotated[str, BeforeValidator(_place)]
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


_encoder = json.JSONEncoder(default=str)


def shortened(value: Any) -> Any:
    """Return a value as an error repeats it."""
    text = ""
    try:
        # Piece by piece: of a large value only the beginning is written.
        for piece in _encoder.iterencode(value):
            text += piece[: VALUE_LENGTH + 1]
            if len(text) > VALUE_LENGTH:
                return text[:VALUE_LENGTH] + "…"
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except (TypeError, ValueError, RecursionError):
        return None
    return value


def invalid(field: str, value: Any, rule: str) -> Problem:
    """Return the problem of one field with a wrong value."""
    return refused([FieldError(field=field, value=shortened(value), rule=rule)])


def refused(errors: Iterable[FieldError]) -> Problem:
    """Return the problem of a request with wrong values: the first `MOST_ERRORS` of them; no more are looked for."""
    listed = list(islice(errors, MOST_ERRORS + 1))
    more = ""
    if len(listed) > MOST_ERRORS:
        listed.pop()
        more = f" (the first {MOST_ERRORS} of more are in `errors`)"
    elif len(listed) > 1:
        more = f" ({len(listed) - 1} more in `errors`)"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{listed[0].field}: {listed[0].rule}{more}.", listed)


def missing(what: str, key: object, hint: str = "It may have been pruned.") -> Problem:
    """Return the problem of something that is not there."""
    return Problem(HTTPStatus.NOT_FOUND, f"There is no {what} {key}. {hint}")
