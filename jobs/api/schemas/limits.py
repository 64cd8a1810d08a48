"""Limits, pauses and weights, as clients send and get them."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from jobs.api.schemas.common import In, Moment, Text
from jobs.core.limits import MOST_JOBS, Kind
from jobs.core.turns import LEAST, MOST

Jobs = Annotated[int, Field(ge=1, le=MOST_JOBS)]


class RuleOut(BaseModel):
    """What concerns the jobs of a task, queue, key or tenant."""

    kind: Kind
    name: str
    rate: str | None = Field(description="How many may begin, such as `100/s`; of a key without figures, its task's.")
    burst: int = Field(description="How many of these may begin at one moment.")
    concurrency: int | None = Field(description="How many may run at once.")
    per_key: bool = Field(description="Whether a task's figures hold for each of its keys.")
    weight: float | None = Field(description="A tenant's share of each queue beside others, which weigh 1; else null.")
    source: str = Field(description="Who said the figures: `code`, `setting` or `operator`.")
    changed_by: str
    running: int
    waiting: int = Field(description="How many stand in its line.")
    paused: bool
    paused_at: datetime | None
    paused_until: datetime | None
    paused_by: str
    pause_reason: str


class RuleRef(BaseModel):
    """Which of them: all that is said to a caller without the scope `read`."""

    kind: Kind
    name: str


class RuleList(BaseModel):
    """All limits, pauses and weights."""

    rules: list[RuleOut]


class LimitIn(In):
    """A limit's figures."""

    rate: Text | None = None
    burst: Jobs = 1
    concurrency: Jobs | None = None


class WeightIn(In):
    """What a tenant weighs."""

    weight: Annotated[float, Field(ge=LEAST, le=MOST, description="1: no more and no less than others.")]


class TrialIn(LimitIn):
    """A limit's figures, and over how many of the last hours it is tried."""

    hours: Annotated[float, Field(gt=0, le=24 * 90)] = 24


class WhatIfOut(BaseModel):
    """What a limit would have done to jobs that have ended."""

    jobs: int
    waited: int = Field(description="How many of them would have waited.")
    mean_seconds: float = Field(description="How long those would have waited, on average.")
    longest_seconds: float


class PauseIn(In):
    """Why, and until when."""

    reason: Text = ""
    until: Moment | None = None
