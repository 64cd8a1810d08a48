"""What keeps jobs from beginning, as it is shown."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field


class Figures(BaseModel):
    """When a breaker opens and probes, as its task declares it; durations in seconds."""

    failures: int = Field(description="So many failures in a row open it.")
    ratio: float = Field(description="So large a share of failures in a window opens it.")
    minimum: int = Field(description="A window of fewer outcomes says nothing about the share.")
    window: float
    pause: float = Field(description="From its opening to the first probe; it doubles with each that fails.")
    longest_pause: float


class BreakerOut(BaseModel):
    """The circuit breaker of a dependency."""

    name: str
    state: str = Field(description="closed, open or half_open.")
    sentence: str = Field(description="How it stands, in words.")
    opened_at: datetime | None = Field(description="Since when it is not closed.")
    opened_by: str = Field(description="The operator who opened it; empty where it opened by itself.")
    reason: str = Field(description="The error that opened it, or what the operator said.")
    waiting: int = Field(description="Jobs that it holds back.")
    next_probe_at: datetime | None = Field(description="Null while it is closed, and where an operator opened it.")
    failed_probes: int
    probe_job_id: UUID | None = Field(description="The job that probes just now.")
    failures_in_a_row: int
    openings: int = Field(description="How often it has opened.")
    tasks: list[str]
    figures: Figures


class ChangeOut(BaseModel):
    """A breaker opened, or closed."""

    at: datetime
    state: str
    reason: str
    actor: str = Field(description="The operator; empty where it changed by itself.")


class BreakerDetail(BreakerOut):
    """A breaker, with the latest times that it opened and closed."""

    history: list[ChangeOut]


class BreakerRef(BaseModel):
    """Which breaker, and how it stands: all that is said to a caller without the scope `read`."""

    name: str
    state: str


class BreakerList(BaseModel):
    """All breakers."""

    breakers: list[BreakerOut]


class Why(BaseModel):
    """Why an operator opens or closes a breaker."""

    reason: str = Field(default="", max_length=500, description="For those who find it so.")
