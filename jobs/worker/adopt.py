"""A message for a job that the ledger does not know: `send_task` from elsewhere, an older Beat, another language.

Its row is written by the worker's parent process before anything of it runs; from then on it is a job like any other.
"""

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from celery.exceptions import InvalidTaskError
from celery.worker import state
from celery.worker.strategy import hybrid_to_proto2, proto1_to_proto2
from django.db import InterfaceError, OperationalError
from kombu.utils.json import dumps

from jobs.compose import foreign_chords
from jobs.core.delivery import Body, own_headers, read_body, read_headers
from jobs.core.job_ids import ledger_id
from jobs.core.priority import HIGHEST, on_the_wire
from jobs.core.properties import carried, why_not
from jobs.core.versions import OPTION as VERSION, version_in
from jobs.enqueue.carried import json_text
from jobs.enqueue.message import CONTENT_ENCODING, ENGINE_HEADERS, LEDGER_HEADER
from jobs.errors import EnqueueError, InvalidArguments
from jobs.ledger.adopt import adopt
from jobs.ledger.enqueue import NewJob, has_come
from jobs.tasks.encryption import argument_texts, arguments_of, is_encrypted, with_encrypted_signatures
from jobs.tasks.keys import limit_key, tenant
from jobs.tasks.options import NAME_LENGTH
from jobs.worker.database import is_outage
from jobs.worker.deliveries import Foreign
from jobs.worker.pending_writes import pending_writes
from jobs.worker.revoke import Revoked

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask
    from jobs.worker.consumer import JobsConsumer

logger = logging.getLogger(__name__)


def job_strategy(task: Any, app: Any, consumer: "JobsConsumer") -> Callable[..., None]:
    """Return what takes a message of a job's task that is not the ledger's: its row is written when it is claimed."""

    def handle(message: Any, body: Any, *_: Any) -> None:
        if body is None and "args" not in message.payload:
            body, headers = message.payload, message.headers
        elif "args" in message.payload:
            body, headers, *_ = hybrid_to_proto2(message, message.payload)
        else:
            body, headers, *_ = proto1_to_proto2(message, body)
        read = read_headers(headers, LEDGER_HEADER)
        # As Celery's request has it: the priority is one of the message's properties.
        delivered = {**(message.delivery_info or {}), "priority": (message.properties or {}).get("priority")}
        given = {**(message.properties or {}), "content_encoding": message.content_encoding}
        job = new_job(task, read, read_body(body), delivered, given)
        if str(read["id"]) in state.revoked:
            logger.info("Discarding revoked task: %s[%s]", task.name, read["id"])
            message.ack_log_error(logger, consumer.connection_errors)
            pending_writes.put(Revoked([str(read["id"])], terminate=False, consumer=consumer))
            return
        consumer.adopt(message, job)

    return handle


def new_job(
    task: "JobTask",
    headers: Mapping[str, Any],
    body: Body,
    delivery_info: Mapping[str, Any],
    properties: Mapping[str, Any] = MappingProxyType({}),
) -> NewJob:
    """Return the row of a foreign message. Its headers and body have been read with care (`core.delivery`).

    Args:
        task: that it names.
        headers: its own, and those of the protocol.
        body: its call.
        delivery_info: how it came, and its priority.
        properties: its others; of these the job keeps what it can carry.

    Raises:
        InvalidTaskError: its arguments, or what follows it, are no JSON that the ledger can hold.
    """
    try:
        json_text(task, "args", body.args)
        json_text(task, "kwargs", body.kwargs)
        json_text(task, "what follows", body.embedded)
    except InvalidArguments as exc:
        raise InvalidTaskError(str(exc)) from exc
    job_id = ledger_id(str(headers["id"]))
    encrypt = task.encrypt and not is_encrypted(body.kwargs)
    args, kwargs = argument_texts(dumps(list(body.args)), dumps(dict(body.kwargs)), encrypt=encrypt)
    follows = with_encrypted_signatures(json.loads(dumps(body.embedded)))
    if (body_of_chord := foreign_chords.chord_of(follows)) is not None:
        foreign_chords.tell(task.name, body_of_chord, headers.get("group"))
    hard, soft = headers.get("timelimit") or (None, None)
    message = {
        "link": follows.get("callbacks"),
        "link_error": follows.get("errbacks"),
        "chain": follows.get("chain"),
        "chord": follows.get("chord"),
        "group_id": headers.get("group"),
        "group_index": headers.get("group_index"),
        "root_id": headers.get("root_id"),
        "time_limit": hard,
        "soft_time_limit": soft,
        VERSION: version_in(headers),
        "headers": {name: value for name, value in own_headers(headers).items() if name not in ENGINE_HEADERS},
        "properties": _properties(properties),
    }
    kept = {name: value for name, value in message.items() if value and (name, value) != (VERSION, 1)}
    return NewJob(
        id=job_id,
        task=task.name,
        queue=_queue(task, delivery_info),
        args=args,
        kwargs=kwargs,
        options=json.loads(dumps(kept)) if kept else None,
        priority=priority_of(task, delivery_info),
        max_retries=task.max_retries,
        run_at=_moment(headers.get("eta")),
        expires_at=_moment(headers.get("expires")),
        correlation_id=_correlation(properties, headers, job_id),
        parent_id=_parent(headers.get("parent_id")),
        limit_key=_made(limit_key, task, body),
        tenant=_made(tenant, task, body),
        breaker=task.breaker,
    )


def write_row(foreign: Foreign) -> bool:
    """Write the row of a message that came without one. Returns whether its job can be delivered now.

    Raises the database's errors; what it never takes is parked, and holds up nothing else.
    """
    job = foreign.job
    try:
        if job.run_at is not None and has_come(job.run_at):
            job = job._replace(run_at=None)
        adopt(job)
    except Exception as exc:
        if isinstance(exc, (InterfaceError, OperationalError)) or is_outage(exc):
            raise
        foreign.park(exc)
        return False
    return True


def _made(make: Callable[..., str | None], task: "JobTask", body: Body) -> str | None:
    try:
        return make(task, *arguments_of(body.args, body.kwargs))
    except EnqueueError:
        # Its attempt says what is wrong.
        return None


def _properties(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the properties that say something."""
    kept = carried(given)
    if kept.get("content_encoding") == CONTENT_ENCODING:
        del kept["content_encoding"]
    return kept


def _correlation(given: Mapping[str, Any], headers: Mapping[str, Any], job_id: uuid.UUID) -> str:
    """Return what the job belongs together with. Celery says there the task's id, which is its own job's."""
    said = given.get("correlation_id")
    if why_not("correlation_id", said) or said == headers["id"] or len(str(said)) > NAME_LENGTH:
        return str(job_id)
    return str(said)


def _queue(task: "JobTask", delivery_info: Mapping[str, Any]) -> str:
    key = str(delivery_info.get("routing_key") or "")
    return key if key in task.app.amqp.queues else task.queue


def priority_of(task: "JobTask", delivery_info: Mapping[str, Any]) -> int:
    """Return the priority that the producer gave. None and 0 are one on the wire: then it is the task's own."""
    given = delivery_info.get("priority")
    if not isinstance(given, int) or given <= 0:
        return task.priority
    driver = task.app.connection_for_read().transport.driver_type
    return on_the_wire(min(given, HIGHEST), driver)


def _moment(given: str | datetime | None) -> datetime | None:
    if not given:
        return None
    moment = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parent(value: str | None) -> uuid.UUID | None:
    try:
        return None if value is None else uuid.UUID(value)
    except ValueError:
        return None
