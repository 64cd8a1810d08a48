"""What can go wrong, by name.

Two families: errors a caller sees when a job cannot be enqueued (`EnqueueError` and below), and errors a
task raises to say what should become of its job (`Permanent`, `Snooze`, `Cancel`).
"""

from jobs.core.retry import TOO_LONG


class JobError(Exception):
    """The base of every error of the engine."""


class EnqueueError(JobError, ValueError):
    """Raised when a job is refused at the call. Nothing was written and nothing was sent."""


class InvalidArguments(EnqueueError, TypeError):
    """Raised when the arguments do not fit the task's signature, are not JSON, or are too large."""


class InvalidOption(EnqueueError):
    """Raised when an option of a job (queue, priority, countdown, eta, expires, …) has a value it cannot have."""


class EncryptionError(EnqueueError):
    """Raised where what a task encrypts cannot be written or read: JOBS_ENCRYPTION_KEYS has no key for it."""


class UnknownTask(EnqueueError):
    """Raised when no `@job` task of that name is registered."""


class InvalidRule(JobError, ValueError):
    """Raised when a limit or a pause is asked for that cannot hold, or of something that is not there."""


class InvalidWebhook(JobError, ValueError):
    """Raised when a webhook is asked for that cannot be.

    Args:
        field: what of it is at fault.
        message: how, and what the rule is.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class TransitionRefused(JobError):
    """Raised when an operator asks for a state that the job cannot take from the one it is in."""


class UnknownJob(JobError, LookupError):
    """Raised by `AsyncResult.get()` for an id that no job has."""


class StepError(JobError):
    """Raised by `step()` and `each()` where they are used in a way that cannot be right. No retry is made."""

    permanent = True


class LeaseLost(JobError):
    """Raised by `step()` and `each()` where the job is another worker's by now, or has ended: nothing was kept."""


class TaskError(JobError):
    """The base of what a task raises to steer its own job."""


class Permanent(TaskError):
    """Raised by a task whose job no retry can mend: the job is dead at once, with this message as its reason."""


class Snooze(TaskError):
    """Raised by a task to put its job off. No attempt is consumed.

    Args:
        seconds: how long from now, zero or more.
        reason: why, for whoever looks at the job meanwhile.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        if type(seconds) not in {int, float} or not 0 <= seconds < TOO_LONG:
            raise ValueError(f"Snooze takes a number of seconds from 0 to below {TOO_LONG:,}; got {seconds!r}.")
        super().__init__(seconds, reason)
        self.seconds = float(seconds)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason or f"snoozed for {self.seconds:g} s"


class Cancel(TaskError):
    """Raised by a task that finds its job no longer wanted: the job ends as cancelled."""
