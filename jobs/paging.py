"""Pages of a long list that stay what they are while rows arrive: each begins where the one before it ended."""

import base64
import binascii
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar, cast

from django.db import connection
from django.db.models import BooleanField, Model, QuerySet, TextField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast

M = TypeVar("M", bound=Model)

#: A time as SQLite holds it: text of one of several lengths, which is why a cursor repeats it to the letter.
_STORED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3,6})?")


class InvalidCursor(ValueError):
    """Raised for a cursor that no page has given out."""


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Some rows, and the cursor of the page after them; None after the last one."""

    rows: Sequence[M]
    next_cursor: str | None


def page(rows: QuerySet[M], moment: str, *, limit: int, cursor: str = "") -> Page[M]:
    """Return one page of `rows`, the latest `moment` (the name of a time field) first.

    Raises:
        InvalidCursor: `cursor` is not one that a page has given out.
    """
    rows = _marked(rows if not cursor else _beside(rows, moment, "<", cursor), moment)
    found: list[M] = list(rows.order_by(f"-{moment}", "-pk")[: limit + 1])
    if len(found) <= limit:
        return Page(found, None)
    return Page(found[:limit], _written(found[limit - 1], moment))


def mark(rows: QuerySet[M], moment: str, *, cursor: str, offset: int) -> str | None:
    """Return the cursor of the page after the one that has `offset` rows, without reading them; None if that is all."""
    rows = _marked(rows if not cursor else _beside(rows, moment, "<", cursor), moment)
    last = rows.order_by(f"-{moment}", "-pk").only("pk", moment)[offset - 1 : offset].first()
    return None if last is None else _written(last, moment)


def down_to(rows: QuerySet[M], moment: str, cursor: str) -> QuerySet[M]:
    """Return the rows that a cursor leaves behind."""
    return _beside(rows, moment, ">=", cursor)


def moment_of(cursor: str) -> datetime:
    """Return the time at which a cursor stands."""
    at = _read(cursor)[0]
    return at if isinstance(at, datetime) else datetime.fromisoformat(str(at)).replace(tzinfo=UTC)


def _beside(rows: QuerySet[M], moment: str, comparison: str, cursor: str) -> QuerySet[M]:
    table = rows.model._meta.db_table  # noqa: SLF001 (Django's public name for it)
    # One comparison of both, so that the index finds the place; the id settles rows of one moment.
    place = f"({table}.{moment}, {table}.id) {comparison} (%s, %s)"
    return rows.filter(RawSQL(place, _read(cursor), output_field=BooleanField()))  # noqa: S611 (nothing of a user)


def _marked(rows: QuerySet[M], moment: str) -> QuerySet[M]:
    if connection.vendor != "sqlite":
        return rows
    return cast("QuerySet[M]", rows.annotate(stored_moment=Cast(moment, TextField())))


def _written(last: Model, moment: str) -> str:
    at = getattr(last, "stored_moment", None) or getattr(last, moment).astimezone(UTC).isoformat()
    return base64.urlsafe_b64encode(f"{at}|{last.pk}".encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[object, object]:
    """Return the place that a cursor marks, as parameters for the database."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        at, _, key = text.partition("|")
        place = uuid.UUID(key)
        if connection.vendor == "sqlite" and _STORED.fullmatch(at):
            return at, place.hex
        moment = datetime.fromisoformat(at)
        if connection.vendor == "sqlite" or moment.tzinfo is None:
            raise ValueError(at)
        return moment, place
    except (ValueError, binascii.Error):
        raise InvalidCursor(f"cursor={cursor!r:.60} is not valid: it must be one that a page has given out.") from None
