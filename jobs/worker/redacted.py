"""Errors whose text holds what their task hides: another stands for them in the ledger, the log, events and Sentry."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celery.exceptions import Retry

from jobs.core import described
from jobs.tasks.redaction import hidden_names, without_hidden

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask


class RedactedError(Exception):
    """What Celery, its events and Sentry get to see of an error. Its arguments are plain: it travels between processes.

    Attributes:
        type: the name of the error's class.
        message, traceback: the error's own, the hidden values replaced.
    """

    def __init__(self, type: str, message: str, traceback: str) -> None:
        super().__init__(type, message, traceback)
        self.type, self.message, self.traceback = type, message, traceback

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{self.type}({self.message!r})"


def redacted(task: "JobTask", error: Exception, calls: Sequence[tuple[Sequence[Any], Mapping[str, Any]]]) -> Exception:
    """Return an error of these calls of a task; another in its place where it tells of arguments that are hidden.

    Args:
        task: whose job, or batch of jobs, failed.
        error: with what.
        calls: positional and named arguments of each job.
    """
    if not hidden_names(task.name):
        return error
    cause = error.exc if isinstance(error, Retry) and isinstance(error.exc, Exception) else error
    texts = [described.message(cause), described.traceback(cause)]
    shown = texts
    for args, kwargs in calls:
        shown = [without_hidden(task.name, args, kwargs, text) for text in shown]
    return error if shown == texts else RedactedError(type(cause).__qualname__, *shown)
