"""The job engine. What other apps may import is here; everything else is its own business."""

from jobs.declare import job
from jobs.errors import Cancel, EnqueueError, InvalidArguments, InvalidOption, Permanent, Snooze
from jobs.progress import progress
from jobs.runtime.batch import Batch
from jobs.task import JobTask

__all__ = [  # noqa: RUF022 (in the order in which a reader needs them)
    # Declaring and calling
    "Batch",
    "JobTask",
    "job",
    # Inside a task
    "progress",
    # What a task may raise
    "Cancel",
    "Permanent",
    "Snooze",
    # What a call may raise
    "EnqueueError",
    "InvalidArguments",
    "InvalidOption",
]
