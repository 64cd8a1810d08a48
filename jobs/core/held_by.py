"""Why a job that is queued must not be claimed now. It is no state: people see it beside the state."""

from enum import StrEnum


class HeldBy(StrEnum):
    """What holds a job back. The value is what the ledger stores."""

    #: The worker that got it knows no task of that name.
    UNKNOWN_TASK = "unknown-task"
    #: The worker that got it knows the task with other arguments.
    INVALID = "invalid"

    @property
    def words(self) -> str:
        """What people read."""
        return "needs newer code"
