"""Queues, as they are shown."""

from datetime import datetime

from pydantic import BaseModel, Field


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
    target_seconds: float | None = Field(description="How long a due job may wait; null where nobody has said.")
    drain_seconds: float | None = Field(description="Until it is empty at the present rates; null where never.")
    rate_in: float = Field(description="Jobs a minute, over the last five.")
    rate_out: float
    dead_letters: int = Field(description="Those nobody has dealt with.")
    workers: int = Field(description="Workers that listen.")
    broker: str = Field(description="What carries it: a URL without its password.")
    paused: bool
    paused_at: datetime | None
    paused_by: str
    paused_until: datetime | None
    pause_reason: str


class ShareOut(BaseModel):
    """What a tenant, or a task, has in a queue."""

    name: str
    waiting: int = Field(description="Queued jobs, those held back among them.")
    held: int = Field(description="How many of these are held back.")
    running: int
    share: float = Field(description="Of all that wait in the queue, from 0 to 1.")
    weight: float | None = Field(description="A tenant's, beside others', which weigh 1; null of a task.")
    oldest_waiting_seconds: float | None = Field(description="Null where none waits that might begin.")


class SharesOut(BaseModel):
    """Who fills a queue: the 50 tenants, and the 50 tasks, of whom most wait."""

    queue: str
    waiting: int
    tenants: list[ShareOut]
    tenants_in_all: int
    tasks: list[ShareOut]
    tasks_in_all: int


class LoadOut(BaseModel):
    """What an autoscaler goes by."""

    name: str
    waiting: int = Field(description="Jobs that are due and that nothing but a free slot keeps waiting.")
    running: int
    oldest_waiting_seconds: float | None
    target_seconds: float = Field(description="How long a due job may wait; 60 where nobody has said.")
    rate_in: float = Field(description="Jobs a minute, over the last five.")
    run_seconds: float = Field(description="How long a job of it takes, on average over the last five minutes.")
    workers: int = Field(description="Workers that listen.")
    slots: int = Field(description="Jobs that these can run at once.")
    slots_wanted: int = Field(
        description="Jobs that must run at once to keep up with what comes and to begin all that waits within the "
        "target. Divide it by the concurrency of one worker."
    )
    paused: bool


class QueueRef(BaseModel):
    """Which queue, and whether it is paused: all that is said to a caller without the scope `read`."""

    name: str
    paused: bool


class QueueList(BaseModel):
    """All queues."""

    queues: list[QueueOut]
