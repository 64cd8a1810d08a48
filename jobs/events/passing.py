"""The states that a job passed through between two reads of the ledger, told from its times where they say it. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from jobs.core.states import State
from jobs.events.change import Change, Position
from jobs.models import Job
from jobs.operations.job_json import job_json, maybe_time_json, time_json

#: After these a start says that there was an attempt which nobody saw running.
_AFTER_RUNNING = frozenset({State.SUCCEEDED, State.DEAD, State.CANCELLED, State.RETRYING, State.SCHEDULED})


def changes(job: Job, told_until: datetime) -> Iterator[Change]:
    """Return what happened to a job since all that it did until `told_until` was told; its present state comes last."""
    body = {**job_json(job), "changed_at": time_json(job.changed_at), "passed": False}
    if told_until < job.created_at < job.changed_at:
        yield from _beginning(job, body)
    if _ran_unseen(job, told_until):
        yield _running(job, body)
    yield _change(job, State(job.state), job.changed_at, body)


def _beginning(job: Job, body: dict[str, Any]) -> Iterator[Change]:
    """Tell of the state a job was enqueued in; where it was tried twice its first due time is overwritten."""
    if job.attempt > 1:
        return
    waits = job.run_at > job.created_at and job.state not in {State.RETRYING, State.SCHEDULED}
    state = State.SCHEDULED if waits else State.QUEUED
    yield _change(
        job,
        state,
        job.created_at,
        {
            **body,
            "attempt": 0,
            "started_at": None,
            "finished_at": None,
            "worker": "",
            "last_error": "",
            "progress": None,
        },
    )


def _ran_unseen(job: Job, told_until: datetime) -> bool:
    started = job.started_at
    return started is not None and job.state in _AFTER_RUNNING and told_until < started < job.changed_at


def _running(job: Job, body: dict[str, Any]) -> Change:
    # A snoozed job has got its attempt back.
    attempt = job.attempt + 1 if job.state == State.SCHEDULED else job.attempt
    error = "" if attempt == 1 else body["last_error"]
    return _change(
        job,
        State.RUNNING,
        job.started_at or job.changed_at,
        {**body, "attempt": attempt, "finished_at": None, "last_error": error, "progress": None},
    )


def _change(job: Job, state: State, at: datetime, body: dict[str, Any]) -> Change:
    told = {**body, "state": state.value, "changed_at": maybe_time_json(at), "passed": at < job.changed_at}
    return Change(Position(at, job.pk), state, job.queue, job.task, told)
