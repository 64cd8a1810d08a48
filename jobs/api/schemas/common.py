"""What all schemas are made of."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

#: The most jobs of one bulk request, and the most ids of a filter.
MOST = 10_000

#: Text that both databases can hold.
Text = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Correlation = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Key = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Limit = Annotated[int, Field(ge=1, le=1000)]


def _written(value: object) -> object:
    """Refuse what pydantic would take for seconds since 1970: nobody means it."""
    # A number would be read as seconds since 1970.
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value):
        return value
    raise ValueError("must be a time in ISO 8601 with its zone, such as 2026-01-31T08:30:00Z")


def _in_utc(value: datetime) -> datetime:
    """Return a time in UTC: PostgreSQL takes no offsets of more than 15 hours, and calendars end in the year 9999."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie between the years 1 and 9999 in UTC") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_in_utc)]


class In(BaseModel):
    """Something a client sends; a field that nobody knows is a slip of the pen."""

    model_config = ConfigDict(extra="forbid")
