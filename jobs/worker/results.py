"""What a task returned is kept under the lease of its job, before its success is recorded."""

from typing import TYPE_CHECKING, Any

from jobs.compose.results import encoded
from jobs.ledger import attempts
from jobs.worker.database import PATIENCE_AFTER, patiently

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask


def kept(task: "JobTask", value: Any) -> Any:
    """Keep what a task returned, of one that says `ignore_result=False`. Returns it.

    Raises:
        NoResult: it cannot be kept.
    """
    if task.ignore_result:
        return value
    text = encoded(value)
    job_id, lease_id = task.request.job_id, task.request.lease_id
    # Without the lease nothing is written: the success will be refused.
    patiently(lambda _: attempts.keep_result(job_id, lease_id, text), PATIENCE_AFTER)
    return value
