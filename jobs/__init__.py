"""The job engine. What other apps may import is here; everything else is its own business."""

from jobs.alerts.channels import register_alert_channel
from jobs.alerts.messages import AlertMessage
from jobs.compose.loops import each
from jobs.compose.new_group import new_group
from jobs.compose.steps import step
from jobs.core.breaker import Breaker
from jobs.errors import (
    Cancel,
    EnqueueError,
    InvalidArguments,
    InvalidOption,
    LeaseLost,
    Permanent,
    Snooze,
    StepError,
    UnknownJob,
)
from jobs.maintenance.cleanup import register_cleaner
from jobs.tasks.batch import Batch
from jobs.tasks.declare import job
from jobs.tasks.task import JobTask
from jobs.worker.cancelling import check_cancelled
from jobs.worker.progress import progress

__all__ = [  # noqa: RUF022 (in the order in which a reader needs them)
    # Declaring and calling
    "Batch",
    "Breaker",
    "JobTask",
    "job",
    "new_group",
    # Inside a task
    "check_cancelled",
    "each",
    "progress",
    "step",
    # What these may raise there
    "LeaseLost",
    "StepError",
    # What is deleted in time
    "register_cleaner",
    # Ways in which alerts are delivered
    "AlertMessage",
    "register_alert_channel",
    # What a task may raise
    "Cancel",
    "Permanent",
    "Snooze",
    # What a call may raise
    "EnqueueError",
    "InvalidArguments",
    "InvalidOption",
    # What asking for a result may raise
    "UnknownJob",
]
