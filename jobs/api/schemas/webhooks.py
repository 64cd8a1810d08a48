"""Webhooks and their deliveries, as clients send and get them."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from ninja import Schema
from pydantic import BaseModel, Field

from jobs.api.schemas.common import MOST, In, Limit, Text
from jobs.core.states import State
from jobs.operations.webhooks import MOST_PATTERNS, NAME_LENGTH, PATTERN_LENGTH, URL_LENGTH

#: What webhooks can be told of (`jobs.webhooks.subscriptions.STATES`).
ToldOf = Literal["succeeded", "dead", "cancelled", "retrying"]

Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH)]
Url = Annotated[
    str, Field(min_length=1, max_length=URL_LENGTH, description="It may hold a secret, and is not shown again.")
]
Pattern = Annotated[str, Field(min_length=1, max_length=PATTERN_LENGTH)]
Patterns = Annotated[
    list[Pattern],
    Field(max_length=MOST_PATTERNS, description="Names of tasks, in which `*` stands for anything; empty: of all."),
]
States = Annotated[list[ToldOf], Field(min_length=1, max_length=10)]


class WebhookOut(BaseModel):
    """A webhook, and how it fares."""

    id: int
    name: str
    address: str = Field(description="Where it leads: of its URL no more than the host.")
    tasks: list[str]
    states: list[str]
    queue: str
    enabled: bool
    created_by: str
    created_at: datetime
    last_delivery_at: datetime | None
    last_state: State | None = Field(description="The state of its latest delivery.")
    success_rate: float | None = Field(description="The part of the last day's deliveries that arrived; null for none.")
    waiting: int = Field(description="How many deliveries are under way.")
    dead: int = Field(description="How many deliveries died.")


class WebhookList(BaseModel):
    """All webhooks, by name."""

    webhooks: list[WebhookOut]


class WebhookMade(WebhookOut):
    """A webhook whose secret is new."""

    secret: str = Field(description="Signs what it is told. This is the only time it is shown.")


class WebhookIn(In):
    """A new webhook."""

    name: Name
    url: Url
    states: States
    tasks: Patterns = []
    queue: Text = ""
    enabled: bool = True


class WebhookChange(In):
    """What is to change of a webhook; the rest stays."""

    name: Name | None = None
    url: Url | None = None
    states: States | None = None
    tasks: Patterns | None = None
    queue: Text | None = None
    enabled: bool | None = None


class DeliveryOut(BaseModel):
    """One event that a webhook is told."""

    id: uuid.UUID = Field(description="Of the event, and of the job that delivers it.")
    event: str
    job_id: uuid.UUID | None = Field(description="The job that it happened to; null for a test.")
    task: str
    state: State
    attempt: int
    status: int | None = Field(description="What the receiver last answered.")
    seconds: float | None = Field(description="How long the last try took.")
    created_at: datetime
    tried_at: datetime | None
    next_try_at: datetime | None
    last_error: str


class JobDeliveryOut(DeliveryOut):
    """One event of a job, and who is told."""

    webhook: str = Field(description="The webhook's name.")


class DeliveryPage(BaseModel):
    """Some deliveries, the latest first."""

    deliveries: list[DeliveryOut]
    next_cursor: str | None


class DeliveryQuery(Schema):
    """Which deliveries."""

    state: list[State] = Field(default=[], max_length=10)
    limit: Limit = 50
    cursor: Text = ""


class RedeliverIn(In):
    """Which deliveries are to be made again: those named, or else all in these states."""

    ids: list[uuid.UUID] = Field(default=[], max_length=MOST)
    states: list[Literal["dead", "cancelled"]] = Field(default=["dead"], min_length=1, max_length=10)
    dry_run: bool = False


class TestOut(BaseModel):
    """The job that sends a test."""

    job_id: uuid.UUID
