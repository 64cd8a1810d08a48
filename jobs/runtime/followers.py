"""What follows a job: its links, and the next step of its chain, as Celery's own tracer would call them."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from celery.canvas import Signature, _chain, group, maybe_signature
from django.db import transaction

if TYPE_CHECKING:
    from jobs.task import JobTask

logger = logging.getLogger(__name__)


def enqueue_followers(task: "JobTask", result: Any) -> None:
    """Call what follows the job that `task.request` delivers, within the transaction that records its success.

    Jobs are written in that transaction. Plain tasks have no row: they are sent when it has committed, as late as
    what they follow is sure to have happened.

    Raises:
        EnqueueError: a job that follows cannot be enqueued.
    """
    request = task.request
    lineage = {"parent_id": request.id, "root_id": request.root_id or request.id}
    for link in request.callbacks or ():
        _call(task, maybe_signature(link, app=task.app), result, lineage)
    if request.chain:
        *rest, following = request.chain
        _call(task, maybe_signature(following, app=task.app), result, {**lineage, "chain": rest})


def _call(task: "JobTask", signature: Signature, result: Any, options: Mapping[str, Any]) -> None:
    call = partial(signature.apply_async, (result,), **options)
    if _is_plain(signature, task.app):
        transaction.on_commit(partial(_send, f"{task.name}[{task.request.id}]", signature, call))
    else:
        call()


def _is_plain(signature: Signature, app: Any) -> bool:
    """Return whether nothing of what is called at once is a job."""
    if isinstance(signature, group):
        return all(_is_plain(one, app) for one in signature.tasks)
    if isinstance(signature, _chain):
        return _is_plain(signature.tasks[0], app)
    return not hasattr(app.tasks.get(signature.task), "check_arguments")


def _send(job: str, signature: Signature, call: "partial[Any]") -> None:
    try:
        call()
    except Exception:
        # The job has succeeded, and that is recorded. What is not in the ledger cannot be sent again.
        logger.exception("%s succeeded, but the plain task %s that follows it could not be sent.", job, signature.task)
