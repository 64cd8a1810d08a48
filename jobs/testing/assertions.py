"""What a test asks about the jobs that wait."""

from collections.abc import Mapping
from typing import Any

from jobs.core.canonical import encode
from jobs.core.states import WAITING, State
from jobs.errors import InvalidArguments
from jobs.models import Job
from jobs.tasks.encryption import arguments_of
from jobs.tasks.registry import registered

#: Jobs named in an error.
SHOWN = 10


def enqueued(task: Any = None, *, queue: str | None = None) -> list[Job]:
    """Return the jobs that wait: queued, scheduled, or for their next attempt; in the order of their calls.

    Args:
        task: of this task only: itself or its name.
        queue: in this queue only.
    """
    found = Job.objects.filter(state__in=[State.QUEUED, *WAITING])
    if task is not None:
        found = found.filter(task=getattr(task, "name", task))
    if queue is not None:
        found = found.filter(queue=queue)
    return list(found.order_by("created_at", "pk"))


def assert_enqueued(
    task: Any, *, kwargs: Mapping[str, Any] | None = None, queue: str | None = None, times: int | None = None
) -> Job:
    """Assert that a job of a task waits.

    Args:
        task: itself or its name.
        kwargs: arguments that it has, by name, however they were given; it may have others.
        queue: its queue.
        times: how many such jobs wait; at least one where None.

    Returns:
        The first of them.
    """
    found = _matching(task, kwargs, queue)
    if len(found) == times or (found and times is None):
        return found[0]
    number = "at least one" if times is None else f"{times}"
    raise AssertionError(
        f"{number} job of {_described(task, kwargs, queue)} should wait; {len(found)} do. {_what_waits()}"
    )


def assert_not_enqueued(task: Any, *, kwargs: Mapping[str, Any] | None = None, queue: str | None = None) -> None:
    """Assert that no such job waits. Takes what `assert_enqueued` takes."""
    if found := _matching(task, kwargs, queue):
        meant = _described(task, kwargs, queue)
        raise AssertionError(f"No job of {meant} should wait; {len(found)} do. {_what_waits()}")


def _matching(task: Any, kwargs: Mapping[str, Any] | None, queue: str | None) -> list[Job]:
    if isinstance(task, str) and task not in registered():
        raise AssertionError(f"{task!r} is the name of no task that is registered here.")
    wanted = {name: encode(value) for name, value in (kwargs or {}).items()}
    return [job for job in enqueued(task, queue=queue) if wanted.items() <= _arguments(job).items()]


def _arguments(job: Job) -> dict[str, str]:
    """Return a job's arguments by name, defaults included, as JSON."""
    task = registered().get(job.task)
    args, kwargs = arguments_of(job.args, job.kwargs)
    try:
        named = task.named_arguments(args, kwargs) if task is not None else kwargs
    except InvalidArguments:
        named = kwargs
    return {name: encode(value) for name, value in named.items()}


def _described(task: Any, kwargs: Mapping[str, Any] | None, queue: str | None) -> str:
    words = [str(getattr(task, "name", task))]
    if kwargs:
        words.append(f"with {dict(kwargs)!r:.500}")
    if queue:
        words.append(f"in the queue {queue}")
    return " ".join(words)


def _what_waits() -> str:
    jobs = enqueued()
    if not jobs:
        return "Nothing waits."
    shown = "; ".join(f"{job.task} {job.args!r:.200} {job.kwargs!r:.200} in {job.queue}" for job in jobs[:SHOWN])
    more = f"; and {len(jobs) - SHOWN:,} more" if len(jobs) > SHOWN else ""
    return f"Waiting: {shown}{more}."
