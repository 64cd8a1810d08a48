"""Pages of a long list that stay what they are while rows arrive: each begins where the one before it ended."""

import base64
import binascii
import operator
import re
import uuid
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from itertools import accumulate
from typing import Any, Generic, TypeVar, cast

from django.db import connection
from django.db.models import BooleanField, Func, IntegerField, Model, QuerySet, TextField
from django.db.models.expressions import Combinable, RawSQL
from django.db.models.functions import Cast, Coalesce

M = TypeVar("M", bound=Model)

#: A time as SQLite holds it: text of one of several lengths, which is why a cursor repeats it to the letter.
_STORED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3,6})?")


#: A page ends before the arguments of its rows have more bytes than this; a thousand jobs may have 256 kB each.
PAGE_BYTES = 4_000_000

#: What can be large in a row.
_LARGE = ("args", "kwargs")


class InvalidCursor(ValueError):
    """Raised for a cursor that no page has given out."""


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Some rows, and the cursor of the page after them; None after the last one.

    Attributes:
        size: bytes of their arguments.
    """

    rows: Sequence[M]
    next_cursor: str | None
    size: int


def page(rows: QuerySet[M], moment: str, *, limit: int, cursor: str = "", most_bytes: int = PAGE_BYTES) -> Page[M]:
    """Return one page of jobs or dead letters, the latest `moment` (the name of a time field) first.

    Args:
        rows: of a model with `args` and `kwargs`.
        moment: the time field.
        limit: the most rows.
        cursor: where the page before ended.
        most_bytes: the most arguments, in bytes of JSON. A row that has more by itself is a page by itself.

    Raises:
        InvalidCursor: `cursor` is not one that a page has given out.
    """
    rows = rows if not cursor else _beside(rows, moment, "<", cursor)
    ordered = rows.order_by(f"-{moment}", "-pk")
    # First how large they are: nothing large is read that is not shown.
    sized = list(_marked(ordered, moment).annotate(size=_size()).only("pk", moment)[: limit + 1])
    sizes = list(accumulate(vars(row)["size"] for row in sized[:limit]))
    fitting = max(1, bisect_right(sizes, most_bytes))
    shown = sized[:fitting]
    found = list(ordered.filter(pk__in=[row.pk for row in shown]))
    is_last = len(shown) == len(sized)
    return Page(found, None if is_last else _written(shown[-1], moment), sizes[len(shown) - 1] if shown else 0)


class _Bytes(Func):
    """How many bytes a text has."""

    function = "OCTET_LENGTH"
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="LENGTH(CAST(%(expressions)s AS BLOB))", **context)


def _size() -> Combinable:
    sizes: list[Combinable] = [Coalesce(_Bytes(Cast(name, TextField())), 0) for name in _LARGE]
    return reduce(operator.add, sizes)


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
        moment = datetime.fromisoformat(at)
        if connection.vendor == "sqlite" and _STORED.fullmatch(at):
            return at, place.hex
        if connection.vendor == "sqlite" or moment.tzinfo is None:
            raise ValueError(at)
        return moment.astimezone(UTC), place
    except (ValueError, OverflowError, binascii.Error):
        raise InvalidCursor(f"cursor={cursor!r:.60} is not valid: it must be one that a page has given out.") from None
