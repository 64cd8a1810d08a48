"""The request that a task sees while it runs (`self.request`, `current_task.request`), made from the job's row."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celery.app.task import Context
from kombu.utils.json import dumps, loads

from jobs.ledger.claims import Claimed
from jobs.tasks.redaction import HIDDEN

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

#: What a request is made of; a header of such a name is read in `request.headers` alone.
_MEMBERS = frozenset(name for name in dir(Context) if callable(getattr(Context, name)) or name.startswith("_"))


def request_of(
    task: "JobTask", job: Claimed, args: Sequence[Any], kwargs: Mapping[str, Any], hostname: str, parent_pid: int
) -> Context:
    """Return Celery's context of an attempt, with what the engine adds: `job_id`, `job_attempt`, `lease_id`.

    Names and meanings are those of https://docs.celeryq.dev/en/stable/userguide/tasks.html#task-request-info.
    """
    options = job.options or {}
    job_id = str(job.id)
    headers = options.get("headers") or {}
    properties = options.get("properties") or {}
    shown = HIDDEN if task.redact else ""
    return Context(
        {
            "stamped_headers": None,
            "stamps": {},
            # What the caller has given may be read as an attribute of the request, as with Celery.
            **{name: value for name, value in headers.items() if name not in _MEMBERS},
            "lang": "py",
            "task": job.task,
            "id": job_id,
            "args": args,
            "kwargs": kwargs,
            "shadow": options.get("shadow"),
            "eta": None,
            "expires": None if job.expires_at is None else job.expires_at.isoformat(),
            "group": options.get("group_id"),
            "group_index": options.get("group_index"),
            "retries": job.retries,
            "timelimit": [
                options.get("time_limit") or task.time_limit,
                options.get("soft_time_limit") or task.soft_time_limit,
            ],
            "root_id": options.get("root_id") or job_id,
            "parent_id": None if job.parent_id is None else str(job.parent_id),
            "argsrepr": shown,
            "kwargsrepr": shown,
            "ignore_result": True,
            "replaced_task_nesting": options.get("replaced_task_nesting", 0),
            "callbacks": _read(options.get("link")),
            "errbacks": _read(options.get("link_error")),
            "chain": _read(options.get("chain")),
            "chord": options.get("chord"),
            "headers": headers,
            "hostname": hostname,
            "priority": job.priority,
            "correlation_id": job_id,
            "reply_to": None,
            **properties,
            "properties": {"correlation_id": job_id, "priority": job.priority, **properties},
            "delivery_info": {
                "exchange": "",
                "routing_key": job.queue,
                "priority": job.priority,
                "redelivered": False,
            },
            "called_directly": False,
            "is_eager": False,
            "parent_pid": parent_pid,
            "lease_id": job.lease_id,
            "job_id": job.id,
            "job_attempt": job.attempt,
            "job_clock": job.clock,
            "job_correlation_id": job.correlation_id or job_id,
            # What the task adds to its chord: enqueued with its success.
            "added_to_chord": [],
        }
    )


def _read(signatures: Any) -> Any:
    """Return signatures as a message's reader has them: with times, bytes and other values that JSON has not."""
    return loads(dumps(signatures)) if signatures else signatures
