"""Groups of jobs, as they are shown."""

import uuid
from datetime import datetime

from pydantic import BaseModel, Field

from jobs.core.states import State


class GroupOut(BaseModel):
    """A group of jobs, and how it stands."""

    id: uuid.UUID
    size: int = Field(description="How many members it has.")
    states: dict[State, int] = Field(description="How many of them are in each state.")
    to_come: int = Field(description="Members that are not there yet: last steps of chains whose first ones go on.")
    seconds_left: float | None = Field(
        description="Until all have ended, at the rate so far; null where none can tell."
    )
    follows: dict[str, str] = Field(
        description="The tasks that follow: `body`, `on_success`, `on_dead`, `on_progress`."
    )
    body_id: uuid.UUID | None = Field(description="The id of the body's job, which is there once it was enqueued.")
    parent_id: uuid.UUID | None = Field(description="The job that enqueued the group.")
    correlation_id: str
    created_at: datetime
    ended_at: datetime | None = Field(description="When the last member ended; null while one has not.")
    followed_at: datetime | None = Field(description="When what follows its success was enqueued.")


class GroupActionOut(BaseModel):
    """What an action on a group's members did."""

    matched: int
    changed: int
    left: int = Field(default=0, description="How many it did not come to in its time: do it again for these.")
