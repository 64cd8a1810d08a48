"""Dead letters, as they are listed and acted upon."""

import uuid
from datetime import datetime
from typing import Any, Literal

from ninja import Schema
from pydantic import BaseModel, Field, StrictBool

from jobs.api.schemas.common import MOST, In, Limit, Moment, Text
from jobs.core.outcome import Reason
from jobs.operations.filters import DeadLetterFilter


class DeadLetterOut(BaseModel):
    """A dead letter: what is kept of a job that gave up, or of a message nobody could read."""

    id: uuid.UUID
    job_id: uuid.UUID | None
    task: str
    queue: str
    reason: str
    error: str
    attempt: int
    kwargs: dict[str, Any] | None = Field(description="Null where nobody can read them.")
    correlation_id: str
    failed_at: datetime
    archived_at: datetime
    replayed_at: datetime | None
    replay_job_id: uuid.UUID | None
    discarded_at: datetime | None


class DeadLetterRef(BaseModel):
    """Which dead letter: all that is said to a caller without the scope `read`."""

    id: uuid.UUID
    job_id: uuid.UUID | None
    discarded_at: datetime | None


class DeadLetterPage(BaseModel):
    """Some dead letters, the latest first."""

    dead_letters: list[DeadLetterOut]
    next_cursor: str | None


class DeadLetterQuery(Schema):
    """Which dead letters."""

    queue: Text = ""
    task: Text = ""
    reason: Reason | None = None
    q: Text = Field(default="", description="Stands somewhere in the error or the arguments.")
    failed_after: Moment | None = None
    failed_before: Moment | None = None
    open: bool = Field(default=True, description="Only those that nobody has replayed or discarded.")
    limit: Limit = 50
    cursor: Text = ""

    def filter(self) -> DeadLetterFilter:
        """Return the filter."""
        return _letter_filter(self, ids=(), open_only=self.open)


class DeadLetterFilterIn(In):
    """Which dead letters an action concerns. All that is given must hold, and something must be."""

    ids: list[uuid.UUID] = Field(default=[], max_length=MOST)
    queue: Text = ""
    task: Text = ""
    reason: Reason | None = None
    q: Text = ""
    failed_after: Moment | None = None
    failed_before: Moment | None = None

    def filter(self) -> DeadLetterFilter:
        """Return the filter."""
        return _letter_filter(self, ids=tuple(self.ids), open_only=True)


def _letter_filter(
    given: DeadLetterQuery | DeadLetterFilterIn, *, ids: tuple[uuid.UUID, ...], open_only: bool
) -> DeadLetterFilter:
    return DeadLetterFilter(
        ids=ids,
        queue=given.queue,
        task=given.task,
        reason="" if given.reason is None else given.reason.value,
        text=given.q,
        failed_after=given.failed_after,
        failed_before=given.failed_before,
        open_only=open_only,
    )


class DeadLetterActionIn(In):
    """Something to do with all dead letters that match."""

    action: Literal["replay", "discard"]
    filter: DeadLetterFilterIn
    dry_run: StrictBool = Field(default=False, description="Only say how many it would concern.")


class ReplayIn(In):
    """How to run a dead letter again."""

    kwargs: dict[str, Any] | None = Field(
        default=None,
        description="Other arguments: then it becomes a new job. `[redacted]` or `[encrypted]` keeps its value.",
    )
    force: StrictBool = Field(default=False, description="Although it was replayed or discarded before.")


class ReplayOut(BaseModel):
    """What a replay put into its queue; null for a message that only its worker can read."""

    job_id: uuid.UUID | None
