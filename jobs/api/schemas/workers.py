"""Workers, as they are shown."""

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel


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
