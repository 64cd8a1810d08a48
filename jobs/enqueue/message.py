"""The wire format: a job as a Celery message (protocol 2), built from the ledger alone; or many jobs as a chunk.

https://docs.celeryq.dev/en/stable/internals/protocol.html#version-2

A chunk is a message in the same form that names up to `CHUNK_SIZE` jobs of one queue and one priority by their ids:
its header `task` is `CHUNK`, its only argument the list of the ids as texts. Whatever else a job's own message says,
arguments, links and headers, whoever claims the job has from the ledger. No task has that name, and no worker makes
a request of a chunk; one that does not know chunks drops it, as it drops any message of the ledger without a row, and
the jobs are dispatched again.
"""

import json
import os
import socket
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from uuid_utils.compat import uuid7

from jobs.core.delivery import portable
from jobs.core.properties import USER_HEADER
from jobs.core.versions import OPTION as VERSION, VERSION_HEADER

#: Says that a message was dispatched from the ledger. A message without it comes from a foreign producer, and its
#: job is adopted; one with it whose row is gone belongs to a job that was pruned, and is dropped.
LEDGER_HEADER = "x-ledger"
CORRELATION_HEADER = "x-correlation-id"

#: Keeps, as a keyed digest, what a client asked for under an idempotency key.
IDEMPOTENCY_HEADER = "x-idempotency-body"

#: Headers that mean something to the engine where it has written them itself.
ENGINE_HEADERS = frozenset({IDEMPOTENCY_HEADER, LEDGER_HEADER, CORRELATION_HEADER, VERSION_HEADER})

#: What a message of several jobs has in place of a task's name, and how many jobs it names at most.
CHUNK = "jobs.chunk"
CHUNK_SIZE = 100

CONTENT_TYPE = "application/json"
CONTENT_ENCODING = "utf-8"

_HOST = socket.gethostname()


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
    def attempt(self) -> int: ...
    @property
    def parent_id(self) -> uuid.UUID | None: ...
    @property
    def correlation_id(self) -> str: ...
    @property
    def expires_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message ready to publish: of one job, or of a chunk.

    Attributes:
        properties: those that the caller has given, and `correlation_id`.
    """

    job_ids: tuple[uuid.UUID, ...]
    queue: str
    priority: int
    body: str
    headers: dict[str, Any]
    properties: dict[str, str] = field(default_factory=dict)
    content_encoding: str = CONTENT_ENCODING

    def properties_for(self, driver: str) -> dict[str, str]:
        """Return its properties as the transport with this `driver_type` takes them.

        RabbitMQ refuses a `user_id` that is not its own user's: there it stands in the header `x-user-id` alone.
        """
        return {name: value for name, value in self.properties.items() if name != "user_id" or driver != "amqp"}


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
    properties: dict[str, str] = {"correlation_id": job_id, **options.get("properties", {})}
    headers = {
        "stamped_headers": None,
        "stamps": {},
        # What the caller gives may stamp a message and add to it; whose message it is, it cannot change.
        # PostgreSQL gives a large float back as a whole number, which may be more than a header can hold.
        **{name: portable(value) for name, value in (options.get("headers") or {}).items()},
        "lang": "py",
        "task": job.task,
        "id": job_id,
        "shadow": options.get("shadow"),
        "eta": None,
        "expires": None if job.expires_at is None else job.expires_at.isoformat(),
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
        **({VERSION_HEADER: options[VERSION]} if VERSION in options else {}),
        LEDGER_HEADER: 1,
        CORRELATION_HEADER: job.correlation_id or job_id,
    }
    if "user_id" in properties:
        headers[USER_HEADER] = properties["user_id"]
    body = f"[{job.args}, {job.kwargs}, {_embedded(options)}]"
    encoding = properties.pop("content_encoding", CONTENT_ENCODING)
    return Outgoing((job.id,), job.queue, job.priority, body, headers, properties, encoding)


_PLAIN_EMBED = json.dumps({"callbacks": None, "errbacks": None, "chain": None, "chord": None})


def body_size(job: HasMessage) -> int:
    """Return how many bytes the body of a job's message has."""
    # Its JSON is ASCII: a byte a sign.
    return len(job.args) + len(job.kwargs) + len(_embedded(job.options or {})) + len("[, , ]")


def _embedded(options: Mapping[str, Any]) -> str:
    if not options.keys() & {"link", "link_error", "chain", "chord"}:
        return _PLAIN_EMBED
    return json.dumps(
        {
            "callbacks": options.get("link"),
            "errbacks": options.get("link_error"),
            "chain": options.get("chain"),
            "chord": options.get("chord"),
        }
    )


def messages_of(jobs: Iterable[HasMessage]) -> list[Outgoing]:
    """Return the messages of jobs that are ready together, in order: one of its own for each, or chunks.

    A job with properties has a message of its own: a chunk could not carry them.
    """
    alike: dict[tuple[object, ...], list[HasMessage]] = {}
    for job in jobs:
        own = (job.id,) if "properties" in (job.options or {}) else ()
        alike.setdefault((job.queue, job.priority, *own), []).append(job)
    return [
        _message_of(some[start : start + CHUNK_SIZE])
        for some in alike.values()
        for start in range(0, len(some), CHUNK_SIZE)
    ]


def _message_of(jobs: Sequence[HasMessage]) -> Outgoing:
    first, *others = jobs
    if not others:
        return outgoing(first, retries=first.attempt)
    return chunk_message(first.queue, first.priority, [job.id for job in jobs])


def chunk_message(queue: str, priority: int, job_ids: Sequence[uuid.UUID]) -> Outgoing:
    """Return the message of several jobs of one queue and one priority, which are at most `CHUNK_SIZE`."""
    chunk_id = str(uuid7())
    headers = {"lang": "py", "task": CHUNK, "id": chunk_id, LEDGER_HEADER: 1}
    ids = json.dumps([str(job_id) for job_id in job_ids])
    body = f"[[{ids}], {{}}, {_PLAIN_EMBED}]"
    return Outgoing(tuple(job_ids), queue, priority, body, headers, {"correlation_id": chunk_id})
