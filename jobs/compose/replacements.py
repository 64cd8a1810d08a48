"""What a task did to the canvas around it: it put another signature in its place, or added members to its chord.

Both are enqueued in the transaction that records the attempt's success: a task that is killed before it, and runs
again, has done neither.
"""

from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu.utils.json import dumps, loads

from jobs.compose.followers import call
from jobs.core.job_ids import ledger_id
from jobs.core.places import place_of_result
from jobs.enqueue.gathering import take_place
from jobs.enqueue.parents import enqueuing_for
from jobs.ledger import attempts
from jobs.ledger.claims import Claimed
from jobs.tasks.replacing import Replaced


def canvas_json(replacement: Replaced | None, added: Sequence[Any]) -> str | None:
    """Return what a task did to its canvas as the parent process gets it; None where that is nothing."""
    if replacement is None and not added:
        return None
    put = None if replacement is None else {"signature": replacement.signature, "result_id": replacement.result_id}
    return str(dumps({"replacement": put, "added": list(added)}))


def is_replacement(canvas: str) -> bool:
    """Return whether the task put another signature in its place."""
    return loads(canvas)["replacement"] is not None


def change_canvas(app: Celery, job: Claimed, canvas: str) -> None:
    """Do what a task wanted, within the transaction that records its success, and before that.

    Raises:
        EnqueueError: a signature cannot be enqueued, or the chord waits for nobody any more.
        RowLocked: somebody else's transaction holds the job's row.
    """
    wanted, options = loads(canvas), job.options or {}
    lineage = {"parent_id": str(job.id), "root_id": str(options.get("root_id") or job.id)}
    source = f"{job.task}[{job.id}] succeeded"
    replacement = wanted["replacement"]
    if replacement:
        is_held = attempts.hand_on(job.id, job.lease_id, ledger_id(replacement["result_id"]))
    else:
        is_held = attempts.lock(job.id, job.lease_id)
    if not is_held:
        # Its lease was lost, and with it the right to be followed; or all this has been done.
        return
    with enqueuing_for(job.id, job.correlation_id):
        for signature in wanted["added"]:
            if (place := place_of_result(signature)) is not None:
                take_place(place, job.task)
            call(app, source, signature, (), lineage)
        if replacement:
            call(app, source, replacement["signature"], (), lineage)
