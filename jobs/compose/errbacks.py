"""The error links of a chord's body, which are called where the header has failed: the body itself never runs."""

from collections.abc import Iterator, Mapping
from typing import Any

from celery import current_app
from celery.app.task import Context
from celery.canvas import maybe_signature
from celery.exceptions import ChordError
from celery.utils.functional import maybe_list
from kombu.utils.json import dumps, loads

from jobs.tasks.declare import job


def errbacks_of(body: Mapping[str, Any] | None) -> Iterator[tuple[str, Any]]:
    """Yield the error links of a body, each with the Celery id of the task that it belongs to.

    Those of a group's tasks belong to these, and those of a chord to its own body; as in Celery's `_result_errbacks`.
    """
    if body is None:
        return
    options, kwargs = body.get("options") or {}, body.get("kwargs") or {}
    kind = body.get("subtask_type")
    task_id = str(options.get("task_id") or "")
    if kind == "group":
        for task in kwargs.get("tasks") or ():
            yield from errbacks_of(task)
    elif kind == "chord":
        yield from errbacks_of(kwargs.get("body"))
    elif kind == "chain" and (steps := kwargs.get("tasks")):
        task_id = str((steps[-1].get("options") or {}).get("task_id") or task_id)
        yield from errbacks_of(steps[0])
    for link in maybe_list(options.get("link_error")) or ():
        yield task_id, link


def tell_in_place(link: Any, task_id: str, task: str, why: str) -> None:
    """Have an error link called that takes request, error and traceback, in a job of its own."""
    call_error_link.delay(dumps(link), task_id, task, why)


@job(name="jobs.error_link", max_retries=0)
def call_error_link(link: str, task_id: str, task: str, why: str) -> None:
    """Call an error link as Celery does in place, for a task that never ran since what it waited for has failed."""
    signature = maybe_signature(loads(link), app=current_app._get_current_object())  # noqa: SLF001 (not the proxy)
    signature(Context(id=task_id, task=task, root_id=task_id, errbacks=[]), ChordError(why), None)
