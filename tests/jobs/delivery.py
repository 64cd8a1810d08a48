"""Deliver a job's message to the worker's code in this process: Celery's own request and tracer, no pool, no broker."""

import json
from typing import Any

from celery import current_app
from kombu.message import Message

from jobs.enqueue.message import CONTENT_ENCODING, CONTENT_TYPE, Outgoing, outgoing
from jobs.ledger.maintain import Dispatchable
from jobs.models import Job
from jobs.worker.request import JobRequest


def message_of(job: Job) -> Outgoing:
    """Return the message that housekeeping would send for a job."""
    return outgoing(
        Dispatchable(
            id=job.id,
            task=job.task,
            queue=job.queue,
            args=json.dumps(job.args),
            kwargs=json.dumps(job.kwargs),
            options=job.options,
            priority=job.priority,
            attempt=job.attempt,
            parent_id=job.parent_id,
            correlation_id=job.correlation_id,
        ),
        retries=job.attempt,
    )


def request_for(body: str, headers: dict[str, Any], queue: str = "default") -> JobRequest:
    """Return the request that a worker makes of a message."""
    message = Message(
        body=body,
        headers=headers,
        content_type=CONTENT_TYPE,
        content_encoding=CONTENT_ENCODING,
        delivery_info={"exchange": "", "routing_key": queue},
        properties={},
    )
    return JobRequest(message, app=current_app, hostname="worker@test", task=current_app.tasks[headers["task"]])


def delivery_of(job: Job) -> JobRequest:
    """Return the request that a worker makes of a job's message."""
    message = message_of(job)
    return request_for(message.body, message.headers, message.queue)


def deliver(job: Job) -> Any:
    """Deliver a job once, and return what Celery makes of it: the result, or its record of the error."""
    result = delivery_of(job).execute()
    job.refresh_from_db()
    return result


def deliver_foreign(task: str, args: list[Any], kwargs: dict[str, Any], task_id: str, **headers: Any) -> Any:
    """Deliver a message of a foreign producer."""
    embed = {name: headers.pop(name, None) for name in ("callbacks", "errbacks", "chain", "chord")}
    body = json.dumps([args, kwargs, embed])
    queue = headers.pop("queue", "default")
    return request_for(body, {"lang": "py", "task": task, "id": task_id, **headers}, queue).execute()
