"""Celery's `before_task_publish` and `after_task_publish`, sent where a job is written: by its caller, with its row.

What a receiver puts into the headers is kept in the row, and travels with every message of the job.
https://docs.celeryq.dev/en/stable/userguide/signals.html#task-signals
"""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from celery.signals import after_task_publish, before_task_publish
from kombu.utils.json import loads

from jobs.core.delivery import own_headers
from jobs.enqueue.message import ENGINE_HEADERS, outgoing
from jobs.ledger.enqueue import NewJob


def before(job: NewJob) -> NewJob:
    """Tell of a job that is about to be written. Returns it with the headers that receivers have given it.

    A header that is none of the caller's own, or that no broker can carry, is left out.
    """
    if not before_task_publish.receivers:
        return job
    message = outgoing(job)
    known = deepcopy(message.headers)
    before_task_publish.send(
        sender=job.task,
        body=_body(job),
        exchange="",
        routing_key=job.queue,
        declare=[],
        headers=message.headers,
        properties=message.properties,
        retry_policy={},
    )
    given = {
        name: value
        for name, value in own_headers(message.headers).items()
        if name not in ENGINE_HEADERS and (name not in known or known[name] != value)
    }
    if not given:
        return job
    options = job.options or {}
    return job._replace(options={**options, "headers": {**(options.get("headers") or {}), **given}})


def after(jobs: Iterable[NewJob]) -> None:
    """Tell of the same jobs when they are written, or rely on others: who began something for one can end it."""
    if not after_task_publish.receivers:
        return
    for job in jobs:
        message = outgoing(job)
        after_task_publish.send(
            sender=job.task, body=_body(job), headers=message.headers, exchange="", routing_key=job.queue
        )


def _body(job: NewJob) -> tuple[Any, Any, dict[str, Any]]:
    """Return the body of a job's message as Celery has it before it is written out; what is encrypted stays so."""
    options = job.options or {}
    embedded = {"callbacks": "link", "errbacks": "link_error", "chain": "chain", "chord": "chord"}
    return loads(job.args), loads(job.kwargs), {name: options.get(option) for name, option in embedded.items()}
