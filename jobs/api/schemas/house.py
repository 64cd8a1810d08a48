"""Queues, workers and schedules, as they are shown."""

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from jobs.core.states import State


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


class QueueRef(BaseModel):
    """Which queue, and whether it is paused: all that is said to a caller without the scope `read`."""

    name: str
    paused: bool


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
    #: What is wrong with it; null where it can run.
    cannot_run: str | None
    next_runs: list[datetime]
    last_run_at: datetime | None
    last_job_id: uuid.UUID | None
    last_state: State | None


class ScheduleList(BaseModel):
    """All schedules."""

    schedules: list[ScheduleOut]
