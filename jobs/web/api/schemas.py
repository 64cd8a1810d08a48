"""What goes into the API and comes out of it."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
)

from jobs.core.outcome import Reason
from jobs.core.states import State
from jobs.queries import JobFilter, LetterFilter

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
    if isinstance(value, str) and not value.replace(".", "").replace("-", "").isdecimal():
        return value
    raise ValueError("must be a time in ISO 8601 with its zone, such as 2026-01-31T08:30:00Z")


Moment = Annotated[AwareDatetime, BeforeValidator(_written)]


class In(BaseModel):
    """Something a client sends; a field that nobody knows is a slip of the pen."""

    model_config = ConfigDict(extra="forbid")


# --- Jobs -----------------------------------------------------------------------------------------


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
    kwargs: dict[str, Any] = Field(description="Its arguments by name; what the task hides reads `[redacted]`.")
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
    progress: Progress | None
    replay_of: uuid.UUID | None = Field(description="The job of whose dead letter this one is a corrected copy.")


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


class JobDetail(JobOut):
    """A job with its failed attempts."""

    attempts: list[AttemptOut]


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    jobs: list[JobOut]
    next_cursor: str | None = Field(description="For the page after this one; null on the last.")


class JobQuery(Schema):
    """Which jobs."""

    state: list[State] = Field(default=[], description="May be repeated.")
    queue: Text = ""
    task: Text = ""
    q: Text = Field(default="", description="Stands somewhere in the arguments or the latest error.")
    correlation_id: Text = ""
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
            created_after=self.created_after,
            created_before=self.created_before,
        )


class JobActionIn(In):
    """Something to do with all jobs that match."""

    action: Literal["retry", "cancel"]
    filter: JobFilterIn
    dry_run: StrictBool = Field(default=False, description="Only say how many it would concern.")


class ActionOut(BaseModel):
    """What an action did, or would do."""

    matched: int
    changed: int
    dry_run: bool


# --- Dead letters ---------------------------------------------------------------------------------


class LetterOut(BaseModel):
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


class LetterPage(BaseModel):
    """Some dead letters, the latest first."""

    dead_letters: list[LetterOut]
    next_cursor: str | None


class LetterQuery(Schema):
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

    def filter(self) -> LetterFilter:
        """Return the filter."""
        return _letter_filter(self, ids=(), open_only=self.open)


class LetterFilterIn(In):
    """Which dead letters an action concerns. All that is given must hold, and something must be."""

    ids: list[uuid.UUID] = Field(default=[], max_length=MOST)
    queue: Text = ""
    task: Text = ""
    reason: Reason | None = None
    q: Text = ""
    failed_after: Moment | None = None
    failed_before: Moment | None = None

    def filter(self) -> LetterFilter:
        """Return the filter."""
        return _letter_filter(self, ids=tuple(self.ids), open_only=True)


def _letter_filter(given: LetterQuery | LetterFilterIn, *, ids: tuple[uuid.UUID, ...], open_only: bool) -> LetterFilter:
    return LetterFilter(
        ids=ids,
        queue=given.queue,
        task=given.task,
        reason="" if given.reason is None else given.reason.value,
        text=given.q,
        failed_after=given.failed_after,
        failed_before=given.failed_before,
        open_only=open_only,
    )


class LetterActionIn(In):
    """Something to do with all dead letters that match."""

    action: Literal["replay", "discard"]
    filter: LetterFilterIn
    dry_run: StrictBool = Field(default=False, description="Only say how many it would concern.")


class ReplayIn(In):
    """How to run a dead letter again."""

    kwargs: dict[str, Any] | None = Field(default=None, description="Other arguments: then it becomes a new job.")
    force: StrictBool = Field(default=False, description="Although it was replayed or discarded before.")


class ReplayOut(BaseModel):
    """What a replay put into its queue; null for a message that only its worker can read."""

    job_id: uuid.UUID | None


# --- Queues, schedules, workers -------------------------------------------------------------------


class Depth(BaseModel):
    """How many jobs are in each state that is not an end."""

    scheduled: int
    queued: int
    running: int
    retrying: int


class QueueOut(BaseModel):
    """A queue."""

    name: str
    depth: Depth
    oldest_waiting_seconds: float | None = Field(description="How long the oldest queued job has been due.")
    drain_seconds: float | None = Field(description="Until it is empty at the present rates; null where never.")
    rate_in: float = Field(description="Jobs a minute, over the last five.")
    rate_out: float
    dead_letters: int = Field(description="Those nobody has dealt with.")
    workers: int = Field(description="Workers that listen.")
    paused: bool
    paused_at: datetime | None
    paused_by: str


class QueueList(BaseModel):
    """All queues."""

    queues: list[QueueOut]


class WorkerOut(BaseModel):
    """A worker process."""

    id: uuid.UUID
    name: str
    presence: Literal["alive", "silent", "stopped"]
    host: str
    pid: int
    queues: list[str]
    pool: str
    concurrency: int
    running: int
    memory_bytes: int
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None
    connections: dict[str, Any]


class WorkerList(BaseModel):
    """The workers that are there, and those that were in the last hour."""

    workers: list[WorkerOut]


class ScheduleOut(BaseModel):
    """A schedule."""

    id: int
    name: str
    task: str
    enabled: bool
    timing: str
    next_runs: list[datetime]
    last_run_at: datetime | None
    last_job_id: uuid.UUID | None
    last_state: State | None


class ScheduleList(BaseModel):
    """All schedules."""

    schedules: list[ScheduleOut]
