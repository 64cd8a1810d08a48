"""Webhooks in the ledger: who is subscribed, what is told of a job, and the deliveries that jobs are enqueued for."""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from jobs.ledger.dialect import dialect
from jobs.ledger.sql import changed, read_json, rows


class Subscribed(NamedTuple):
    """A webhook that is enabled."""

    id: int
    tasks: list[str]
    states: list[str]
    queue: str


class Told(NamedTuple):
    """What webhooks are told of a job: neither its arguments nor its result."""

    id: uuid.UUID
    task: str
    queue: str
    state: str
    attempt: int
    max_retries: int | None
    priority: int
    tenant: str | None
    correlation_id: str
    group_id: uuid.UUID | None
    parent_id: uuid.UUID | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    run_at: datetime
    changed_at: datetime
    last_error: str


class NewDelivery(NamedTuple):
    """An event for one webhook, and the job that delivers it."""

    job: uuid.UUID
    webhook: int
    event: str
    body: Mapping[str, Any]
    of_job: uuid.UUID | None = None
    task: str = ""


def subscribed() -> list[Subscribed]:
    """Return the webhooks that are enabled."""
    found = rows("SELECT id, tasks, states, queue FROM jobs_webhook WHERE enabled ORDER BY id")
    return [Subscribed(key, read_json(tasks), read_json(states), queue) for key, tasks, states, queue in found]


def told_of(job_ids: Collection[uuid.UUID]) -> list[Told]:
    """Return what is told of these jobs, as they stand, in the order in which they came to that."""
    sql = dialect()
    found = rows(
        f"SELECT {', '.join(Told._fields)} FROM jobs_job WHERE id {sql.is_one_of_ids} ORDER BY changed_at, id",
        [sql.ids(job_ids)],
    )
    return [Told(*(_read(value, name) for name, value in zip(Told._fields, row, strict=True))) for row in found]


def add_deliveries(deliveries: Sequence[NewDelivery]) -> None:
    """Write deliveries in the transaction that wrote their jobs."""
    given = [
        {**one._asdict(), "job": one.job.hex, "of_job": None if one.of_job is None else one.of_job.hex}
        for one in deliveries
    ]
    named = dialect().given(
        {"job": "uuid", "webhook": "bigint", "event": "text", "body": "jsonb", "of_job": "uuid", "task": "text"}
    )
    changed(
        "INSERT INTO jobs_webhookdelivery (job_id, webhook_id, event, body, of_job, task)"
        f" SELECT job, webhook, event, body, of_job, task FROM ({named}) AS named",
        [json.dumps(given)],
    )


def _read(value: Any, name: str) -> Any:
    sql = dialect()
    if value is None:
        return None
    if name in {"id", "group_id", "parent_id"}:
        return sql.to_uuid(value)
    return sql.to_time(value) if name.endswith("_at") else value
