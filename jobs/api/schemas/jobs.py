"""Jobs, as they are submitted, listed and acted upon."""

import uuid
from datetime import datetime
from typing import Any, Literal

from ninja import Schema
from pydantic import BaseModel, Field, StrictBool, StrictInt

from jobs.api.schemas.common import MOST, Correlation, In, Key, Limit, Moment, Name, Text
from jobs.api.schemas.webhooks import JobDeliveryOut
from jobs.core.states import State
from jobs.operations.filters import JobFilter


class JobIn(In):
    """A job to be enqueued."""

    task: Name = Field(description="The name of a public task.", examples=["reports.build"])
    kwargs: dict[str, Any] = Field(default={}, description="Its arguments by name.")
    run_at: Moment | None = Field(default=None, description="Not before this time; at once where it has passed.")
    priority: StrictInt | None = Field(default=None, ge=0, le=9, description="Higher first; the task's own where null.")
    queue: Name | None = Field(default=None, description="The task's own where null.")
    unique: StrictBool | Key | None = Field(
        default=None,
        description="A key, or true for task and arguments: while a job of the task with this key waits to begin, "
        "that job is returned instead of a new one. Null: as the task itself says.",
    )
    correlation_id: Correlation | None = Field(
        default=None, description="Joins what belongs together, in logs and here."
    )


class BulkIn(In):
    """Many jobs, all of them or none."""

    jobs: list[JobIn] = Field(min_length=1, max_length=MOST)


class BulkOut(BaseModel):
    """The jobs of a bulk request, in its order."""

    ids: list[uuid.UUID]


class Progress(BaseModel):
    """How far a task says it is."""

    done: float
    total: float | None
    message: str


class JobOut(BaseModel):
    """A job."""

    id: uuid.UUID
    task: str
    queue: str
    state: State
    kwargs: dict[str, Any] = Field(
        description="Its arguments by name; what the task hides reads `[redacted]` or `[encrypted]`."
    )
    priority: int
    attempt: int = Field(description="Attempts begun, over all replays.")
    max_retries: int | None = Field(description="Attempts after the first; null for no limit.")
    run_at: datetime
    created_at: datetime
    started_at: datetime | None = Field(description="When the latest attempt began.")
    finished_at: datetime | None
    worker: str
    last_error: str
    correlation_id: str
    parent_id: uuid.UUID | None = Field(description="The job that enqueued it.")
    group_id: uuid.UUID | None = Field(description="The group that it belongs to.")
    progress: Progress | None
    replay_of: uuid.UUID | None = Field(description="The job of whose dead letter this one is a corrected copy.")
    held_by: str | None = Field(
        description="Why it waits though it is due, in words; null where nothing holds it back."
    )


class JobRef(BaseModel):
    """Which job, and what became of it: all that is said to a caller without the scope `read`."""

    id: uuid.UUID
    task: str
    state: State


class AttemptOut(BaseModel):
    """An attempt that did not succeed."""

    number: int
    outcome: str
    error_type: str
    error: str
    traceback: str
    worker: str
    started_at: datetime | None
    finished_at: datetime


class StepOut(BaseModel):
    """What a task has done by `step()` or `each()`, and does not do again."""

    number: int = Field(description="Its place, from 1: a retry may begin from there.")
    name: str
    attempt: int = Field(description="The attempt that did it.")
    value: Any = Field(description="What the step returned; of a loop the cursor of its last row that is done.")
    rows_done: int | None = Field(description="Of a loop; null for a step that is none.")
    is_complete: bool = Field(description="False for a loop that has rows left.")
    started_at: datetime
    finished_at: datetime


class RetryIn(In):
    """How a job is to be retried."""

    from_step: StrictInt | None = Field(
        default=None, ge=1, description="The number of the step from which on it does its work again."
    )


class LineOut(BaseModel):
    """Where a job stands in line for a limit, or for the end of a pause."""

    rule: str = Field(description="What it waits for.")
    place: int = Field(description="From 1.")
    seconds: float | None = Field(description="About how long it waits; null where nobody can say.")
    words: str


class JobDetail(JobOut):
    """A job with its place in line, its result, its steps, its failed attempts and what webhooks are told of it."""

    line: LineOut | None

    result: Any = Field(
        description="What it returned, of a task whose results are kept; `[redacted]` where the task hides arguments."
    )
    calls: int = Field(description="For how many calls it stands: more than one where others found its unique key.")
    steps: list[StepOut] = Field(description="What its task has done, the first hundred.")
    attempts: list[AttemptOut]
    deliveries: list[JobDeliveryOut] = Field(description="What webhooks are told of it, the latest first.")


class LogOut(BaseModel):
    """What an attempt logged within a moment: some lines."""

    attempt: int = Field(description="Its number.")
    at: datetime = Field(description="When the first of the lines was logged, by the worker's clock.")
    text: str


class LogsOut(BaseModel):
    """What a job's attempts logged, the earliest first."""

    logs: list[LogOut]


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    jobs: list[JobOut]
    next_cursor: str | None = Field(description="For the page after this one; null on the last.")
    looked_back_to: datetime | None = Field(
        description="Where time ran out before the page was full: what was enqueued before is not looked at yet, and "
        "`next_cursor` goes on from there. Null otherwise."
    )


class JobQuery(Schema):
    """Which jobs."""

    state: list[State] = Field(default=[], description="May be repeated.")
    queue: Text = ""
    task: Text = ""
    q: Text = Field(default="", description="Stands somewhere in the arguments or the latest error.")
    correlation_id: Text = ""
    group_id: uuid.UUID | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    limit: Limit = 50
    cursor: Text = ""

    def filter(self) -> JobFilter:
        """Return the filter."""
        return JobFilter(
            states=tuple(self.state),
            queue=self.queue,
            task=self.task,
            text=self.q,
            correlation_id=self.correlation_id,
            group_id=self.group_id,
            created_after=self.created_after,
            created_before=self.created_before,
        )


class JobFilterIn(In):
    """Which jobs an action concerns. All that is given must hold, and something must be."""

    ids: list[uuid.UUID] = Field(default=[], max_length=MOST)
    state: list[State] = []
    queue: Text = ""
    task: Text = ""
    q: Text = ""
    error: Text = ""
    kwargs: dict[Name, Any] = {}
    correlation_id: Text = ""
    parent_id: uuid.UUID | None = None
    group_id: uuid.UUID | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None

    def filter(self) -> JobFilter:
        """Return the filter."""
        return JobFilter(
            ids=tuple(self.ids),
            states=tuple(self.state),
            queue=self.queue,
            task=self.task,
            text=self.q,
            error=self.error,
            kwargs=tuple(self.kwargs.items()),
            correlation_id=self.correlation_id,
            parent_id=self.parent_id,
            group_id=self.group_id,
            created_after=self.created_after,
            created_before=self.created_before,
        )


class JobActionIn(In):
    """Something to do with all jobs that match."""

    action: Literal["retry", "cancel"]
    filter: JobFilterIn
    dry_run: StrictBool = Field(default=False, description="Only say how many it would concern.")


class RefusedOut(BaseModel):
    """A row that an action could not change, and why."""

    id: uuid.UUID
    why: str


class ActionOut(BaseModel):
    """What an action did, or would do."""

    matched: int
    changed: int
    left: int = Field(default=0, description="How many it did not come to in its time; ask again to go on.")
    refused: list[RefusedOut] = Field(default=[], description="Those that cannot be changed, the first 100 of them.")
    dry_run: bool
