"""Which jobs that have not ended the code at hand cannot run: asked before a deploy, with the new code."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kombu.utils.json import loads

from jobs.core.states import FINAL
from jobs.core.versions import version_of
from jobs.errors import EncryptionError, InvalidArguments
from jobs.models import Job
from jobs.tasks.encryption import arguments_of
from jobs.tasks.registry import registered
from jobs.tasks.task import JobTask
from jobs.tasks.versions import NewerVersion, upgraded


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
    waiting = (
        Job.objects.exclude(state__in=sorted(FINAL)).order_by("id").only("id", "task", "args", "kwargs", "options")
    )
    for job in waiting.iterator(chunk_size=1000):
        task = tasks.get(job.task)
        if task is None:
            yield job, "no task of this name is registered here"
        elif hasattr(task, "check_arguments") and (why := _misfit(task, job)):
            yield job, why


def _misfit(task: "JobTask", job: Job) -> str:
    """Return why a task's code cannot run a job; nothing where it can."""
    version = version_of(job.options)
    # As a worker reads them, with Celery's own types.
    try:
        given = arguments_of(loads(json.dumps(job.args)), loads(json.dumps(job.kwargs)))
        args, kwargs = upgraded(task, version, *given)
    except EncryptionError as exc:
        return f"{task.name}: its arguments cannot be read. {exc}"
    except NewerVersion as exc:
        return str(exc)
    except Exception as exc:  # noqa: BLE001 (an upgrade function raises what it likes)
        # The values stay out of it: a task may hide them.
        return f"{task.name}: the upgrade from version {version} raises {type(exc).__qualname__}"
    try:
        task.check_arguments(args, kwargs)
    except InvalidArguments as exc:
        return str(exc)
    return ""
