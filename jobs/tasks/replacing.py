"""`self.replace()`: a task puts a signature in its place, which takes over what waits for the task and follows it."""

from celery import Task
from celery.canvas import Signature, _chain, group, maybe_signature
from celery.exceptions import Ignore, ImproperlyConfigured
from celery.utils.functional import maybe_list


class Replaced(Ignore):
    """What `self.replace()` raises: the attempt ends well, and its job's result is that of the signature.

    Attributes:
        signature: to be enqueued with the attempt's end.
        result_id: the Celery id of its result.
    """

    def __init__(self, signature: Signature, result_id: str) -> None:
        super().__init__("Replaced by new task")
        self.signature, self.result_id = signature, result_id


def replacement_of(task: Task, signature: Signature) -> tuple[Signature, str]:
    """Return a signature as the replacement of the task that runs, and the id of its result.

    It does what Celery's `Task.replace` does, but that the job keeps its id, and the replacement gets its own.

    Raises:
        ImproperlyConfigured: the signature belongs to a chord already, or is an empty chain.
    """
    request = task.request
    if "chord" in signature.options:
        raise ImproperlyConfigured("A signature replacing a task must not be part of a chord")
    if isinstance(signature, _chain) and not getattr(signature, "tasks", True):
        raise ImproperlyConfigured("Cannot replace with an empty chain")
    signature = _with_one_result(task, signature)
    for callback in maybe_list(request.callbacks) or []:
        signature.link(callback)
    for errback in maybe_list(request.errbacks) or []:
        signature.link_error(errback)
    if isinstance(signature, _chain) and "link" in signature.options:
        links = signature.tasks[-1].options.setdefault("link", [])
        links.extend(maybe_list(signature.options.pop("link")))
    result_id = str(signature.freeze().id)
    nesting = request.get("replaced_task_nesting", 0) + 1
    signature.set(
        chord=request.chord,
        group_id=request.group,
        group_index=request.group_index,
        root_id=request.root_id,
        replaced_task_nesting=nesting,
    )
    if isinstance(signature, _chain):
        for step in maybe_list(signature.tasks) or []:
            step.set(replaced_task_nesting=nesting)
    for step in reversed(request.chain or []):
        follower = maybe_signature(dict(step), app=task.app)
        follower.set(replaced_task_nesting=nesting)
        signature |= follower
    return signature, result_id


def _with_one_result(task: Task, signature: Signature) -> Signature:
    """Return a signature that ends in one task: what a group returns is gathered in a list."""
    gather = task.app.signature("jobs.accumulate")
    if isinstance(signature, group):
        return signature | gather
    if isinstance(signature, _chain) and isinstance(signature.tasks[-1], group):
        signature.tasks = list(signature.tasks)
        signature.tasks[-1] |= gather
    return signature
