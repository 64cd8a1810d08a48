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
    drain_seconds: float | None = Field(description="Until it is empty at the present rates; null where never.")
    rate_in: float = Field(description="Jobs a minute, over the last five.")
    rate_out: float
    dead_letters: int = Field(description="Those nobody has dealt with.")
    workers: int = Field(description="Workers that listen.")
    broker: str = Field(description="What carries it: a URL without its password.")
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
