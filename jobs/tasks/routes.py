"""Where a job goes and how urgent it is: as its caller says, else its task, else CELERY_TASK_ROUTES."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celery import Celery

from jobs.core.priority import PRIORITIES
from jobs.core.queue_names import RULE, is_queue_name
from jobs.errors import InvalidOption
from jobs.tasks.options import Options, queue_name

if TYPE_CHECKING:
    from jobs.tasks.declared import DeclaredTask
    from jobs.tasks.task import JobTask


def placed(task: "JobTask", options: Options, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, int]:
    """Return the queue and the priority of a job: the caller's, else the task's own, else what CELERY_TASK_ROUTES says.

    Raises:
        InvalidOption: nobody knows the queue, or the priority is out of range.
    """
    route = route_of(task, args, kwargs)
    queue, priority = options.queue, options.priority
    if queue is None and not task.names("queue"):
        queue = route.get("queue")
    if priority is None and not task.names("priority"):
        priority = route.get("priority")
    return _queue_of(task, queue), _priority_of(task, priority)


def is_routed(task: "JobTask") -> bool:
    """Return whether CELERY_TASK_ROUTES may send one call of the task elsewhere than another."""
    return bool(task.app.amqp.router.routes)


def route_of(
    task: "DeclaredTask | type[DeclaredTask]", args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return what CELERY_TASK_ROUTES says of a call: `queue`, `priority`, or neither.

    https://docs.celeryq.dev/en/stable/userguide/routing.html#automatic-routing

    Raises:
        InvalidOption: it says something else, which has no meaning for a job.
    """
    router = task.app.amqp.router
    if not router.routes:
        return {}
    found = router.lookup_route(task.name, args, kwargs, {}, task) or {}
    route: dict[str, Any] = {"queue": found} if isinstance(found, str) else dict(found)
    if others := route.keys() - {"queue", "priority"}:
        raise InvalidOption(
            f"{task.name}: CELERY_TASK_ROUTES gives it {', '.join(sorted(others))}, which has no meaning for a job: a"
            " route may give queue and priority."
        )
    return {**route, "queue": queue_name(route.get("queue"))}


def _queue_of(task: "JobTask", given: str | None) -> str:
    queue = given or task.queue
    app: Celery = task.app
    if not is_queue_name(str(queue)):
        raise InvalidOption(f"{task.name}: queue={queue!r} is not valid: it must be {RULE}.")
    if queue not in app.amqp.queues:
        known = ", ".join(sorted(app.amqp.queues)) or "none"
        raise InvalidOption(
            f"{task.name}: queue={queue!r} is not known: it must be one that a @job names. Known queues: {known}."
        )
    return queue


def _priority_of(task: "JobTask", given: int | None) -> int:
    priority = task.priority if given is None else given
    if type(priority) is not int or priority not in PRIORITIES:
        raise InvalidOption(
            f"{task.name}: priority={priority!r} is not valid: it must be a whole number from 0 (last) to 9 (first)."
        )
    return priority
