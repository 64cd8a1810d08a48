"""Why a job that is queued must not be claimed now. It is no state: people see it beside the state."""

from enum import StrEnum


class HeldBy(StrEnum):
    """What holds a job back. The value is what the ledger stores."""

    #: The worker that got it knows no task of that name.
    UNKNOWN_TASK = "unknown-task"
    #: The worker that got it knows the task with other arguments.
    INVALID = "invalid"
    #: The worker that got it has no key for its arguments.
    NO_KEY = "no-key"
    #: As many jobs of its task, queue or key as may run, run; or as many as may begin have begun.
    LIMIT = "limit"
    #: The breaker of the dependency that it needs is not closed.
    BREAKER = "breaker"
    #: Somebody has paused its task, key or tenant.
    PAUSED = "paused"

    @property
    def words(self) -> str:
        """What people read."""
        match self:
            case HeldBy.NO_KEY:
                return "waits for a worker with its key"
            case HeldBy.LIMIT:
                return "waits for a limit"
            case HeldBy.PAUSED:
                return "paused"
            case HeldBy.BREAKER:
                return "waits for its dependency"
        return "needs newer code"


#: What a worker with newer code, or with the key that is missing, frees.
FOR_NEWER_CODE = frozenset({HeldBy.UNKNOWN_TASK, HeldBy.INVALID, HeldBy.NO_KEY})
