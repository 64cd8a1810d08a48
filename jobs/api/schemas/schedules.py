"""Schedules, as they are shown."""

import uuid
from datetime import datetime

from pydantic import BaseModel

from jobs.core.states import State


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
