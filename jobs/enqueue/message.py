"""A job as a Celery message (protocol 2), built from the ledger alone.

https://docs.celeryq.dev/en/stable/internals/protocol.html#version-2
"""

import json
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

#: Says that a message was dispatched from the ledger. A message without it comes from a foreign producer, and its
#: job is adopted; one with it whose row is gone belongs to a job that was pruned, and is dropped.
LEDGER_HEADER = "x-ledger"
CORRELATION_HEADER = "x-correlation-id"

#: Keeps, as a keyed digest, what a client asked for under an idempotency key.
IDEMPOTENCY_HEADER = "x-idempotency-body"

CONTENT_TYPE = "application/json"
CONTENT_ENCODING = "utf-8"

_HOST = socket.gethostname()


def is_from_ledger(headers: object) -> bool:
    """Return whether the headers of a message, whatever they are, say that it was dispatched from the ledger."""
    if not isinstance(headers, Mapping) or not isinstance(headers.get("id"), str):
        return False
    mark = headers.get(LEDGER_HEADER)
    return type(mark) is int and mark == 1


class HasMessage(Protocol):
    """What a message needs of a job: a row about to be written, or one that was read."""

    @property
    def id(self) -> uuid.UUID: ...
    @property
    def task(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def args(self) -> str: ...
    @property
    def kwargs(self) -> str: ...
    @property
    def options(self) -> dict[str, Any] | None: ...
    @property
    def priority(self) -> int: ...
    @property
    def parent_id(self) -> uuid.UUID | None: ...
    @property
    def correlation_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message ready to publish."""

    job_id: uuid.UUID
    queue: str
    priority: int
    body: str
    headers: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message whose body is passed on as it is, whatever is in it."""

    body: bytes | str
    content_type: str
    content_encoding: str
    headers: dict[str, Any]
    properties: dict[str, Any]


def outgoing(job: HasMessage, retries: int = 0) -> Outgoing:
    """Return the message of a job; `retries` is what Celery calls the attempts before this one."""
    options = job.options or {}
    job_id = str(job.id)
    headers = {
        "stamped_headers": None,
        "stamps": {},
        # What the caller gives may stamp a message and add to it; whose message it is, it cannot change.
        **options.get("headers", {}),
        "lang": "py",
        "task": job.task,
        "id": job_id,
        "shadow": options.get("shadow"),
        "eta": None,
        "expires": None,
        "group": options.get("group_id"),
        "group_index": options.get("group_index"),
        "retries": retries,
        "timelimit": [options.get("time_limit"), options.get("soft_time_limit")],
        "root_id": options.get("root_id") or job_id,
        "parent_id": None if job.parent_id is None else str(job.parent_id),
        # The arguments stay out of these two: they are what logs and events show.
        "argsrepr": "",
        "kwargsrepr": "",
        "origin": f"{os.getpid()}@{_HOST}",
        "ignore_result": True,
        "replaced_task_nesting": options.get("replaced_task_nesting", 0),
        LEDGER_HEADER: 1,
        CORRELATION_HEADER: job.correlation_id or job_id,
    }
    return Outgoing(job.id, job.queue, job.priority, _body(job, options), headers)


_PLAIN_EMBED = json.dumps({"callbacks": None, "errbacks": None, "chain": None, "chord": None})


def _body(job: HasMessage, options: dict[str, Any]) -> str:
    embed = _PLAIN_EMBED
    if options.keys() & {"link", "link_error", "chain", "chord"}:
        embed = json.dumps(
            {
                "callbacks": options.get("link"),
                "errbacks": options.get("link_error"),
                "chain": options.get("chain"),
                "chord": options.get("chord"),
            }
        )
    return f"[{job.args}, {job.kwargs}, {embed}]"
