"""A message for a job that the ledger does not know: `send_task` from elsewhere, an older Beat, another language."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kombu.utils.json import dumps

from jobs.conf import conf
from jobs.core.delivery import OWN
from jobs.core.priority import HIGHEST, on_the_wire
from jobs.ledger import claims
from jobs.ledger.claims import Claimed
from jobs.ledger.enqueue import NewJob, adopt as write, has_come

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

#: In a request of a foreign message: from when it may run, and after when it must not begin, as texts.
FOREIGN_ETA, FOREIGN_EXPIRES = OWN + "eta", OWN + "expires"


def adopt(task: "JobTask", job_id: uuid.UUID, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Claimed | None:
    """Write the job of a foreign message, as running under this delivery's lease.

    Returns:
        The claim, or None where there is nothing to run now: another delivery was first, or its time has not come.
    """
    request = task.request
    job = _new_job(task, job_id, args, kwargs)
    written = write(job, lease_id=request.lease_id, lease_seconds=conf().lease_seconds, worker=request.hostname)
    if not written or job.waits:
        return None
    return claims.held(job_id, request.lease_id)


def _new_job(task: "JobTask", job_id: uuid.UUID, args: Sequence[Any], kwargs: Mapping[str, Any]) -> NewJob:
    request = task.request
    message = {
        "link": request.callbacks,
        "link_error": request.errbacks,
        "chain": request.chain,
        "chord": request.chord,
        "group_id": request.group,
        "group_index": request.group_index,
        "root_id": request.root_id,
    }
    message["time_limit"], message["soft_time_limit"] = request.timelimit or (None, None)
    kept = {name: value for name, value in message.items() if value}
    eta = _moment(request.get(FOREIGN_ETA))
    return NewJob(
        id=job_id,
        task=task.name,
        queue=_queue(task),
        args=dumps(list(args)),
        kwargs=dumps(dict(kwargs)),
        options=json.loads(dumps(kept)) if kept else None,
        priority=_priority(task),
        max_retries=task.max_retries,
        run_at=None if eta is None or has_come(eta) else eta,
        expires_at=_moment(request.get(FOREIGN_EXPIRES)),
        correlation_id=str(job_id),
        parent_id=_parent(request.parent_id),
    )


def _queue(task: "JobTask") -> str:
    routing_key: str = (task.request.delivery_info or {}).get("routing_key") or ""
    return routing_key if routing_key in task.app.amqp.queues else task.queue


def _priority(task: "JobTask") -> int:
    """Return the priority that the producer gave. None and 0 are one on the wire: then it is the task's own."""
    given = (task.request.delivery_info or {}).get("priority")
    if not isinstance(given, int) or given <= 0:
        return task.priority
    driver = task.app.connection_for_read().transport.driver_type
    return on_the_wire(min(given, HIGHEST), driver)


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parent(value: str | None) -> uuid.UUID | None:
    try:
        return None if value is None else uuid.UUID(value)
    except ValueError:
        return None
