"""Which jobs that have not ended the code at hand cannot run: asked before a deploy, with the new code."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kombu.utils.json import loads

from jobs.core.states import FINAL
from jobs.errors import InvalidArguments
from jobs.models import Job
from jobs.tasks.registry import registered


@dataclass(frozen=True, slots=True)
class Unrunnable:
    """Jobs of one task that have not ended and cannot be run, for one reason.

    Attributes:
        example: the oldest of them.
    """

    task: str
    why: str
    jobs: int
    example: uuid.UUID


def unrunnable() -> list[Unrunnable]:
    """Return what this process's code cannot run, by task and reason, the most jobs first."""
    found: dict[tuple[str, str], Unrunnable] = {}
    for job, why in _misfits():
        key = job.task, why
        one = found.get(key)
        found[key] = Unrunnable(job.task, why, 1, job.pk) if one is None else replace(one, jobs=one.jobs + 1)
    return sorted(found.values(), key=lambda one: (-one.jobs, one.task, one.why))


def _misfits() -> Iterator[tuple[Job, str]]:
    tasks = registered()
    waiting = Job.objects.exclude(state__in=sorted(FINAL)).order_by("id").only("id", "task", "args", "kwargs")
    for job in waiting.iterator(chunk_size=1000):
        task = tasks.get(job.task)
        if task is None:
            yield job, "no task of this name is registered here"
        elif hasattr(task, "check_arguments"):
            try:
                # As a worker reads them, with Celery's own types.
                task.check_arguments(loads(json.dumps(job.args)), loads(json.dumps(job.kwargs)))
            except InvalidArguments as exc:
                yield job, str(exc)
