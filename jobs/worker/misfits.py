"""Jobs that cannot run here and now: their time has passed, or their arguments are those of other code.

Each error says of its attempt why; `jobs.worker.decision` says what becomes of the job.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from celery.app.task import Context

from jobs.errors import InvalidArguments
from jobs.tasks.versions import NewerVersion, upgraded
from jobs.worker.contained import contained

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask


class Expired(Exception):
    """The error of a job whose time passed before it could begin."""


class DeadlinePassed(Exception):
    """The error of a job whose deadline passed before it could begin."""


class Misfit(Exception):
    """The error of a job whose arguments do not fit the task, or whose result does not fit the one that follows."""


class UpgradeFailed(Exception):
    """The error of a job whose arguments an upgrade function of its task could not read."""


class NoKey(Exception):
    """The error of a job whose arguments are encrypted by a key that the worker does not have."""


class NeedsNewerCode(Misfit):
    """The error of a job whose arguments fitted the code that enqueued it, and do not fit the worker's."""


def upgraded_here(
    task: "JobTask", request: Context, version: int, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return a job's arguments as its task takes them now.

    Raises:
        NeedsNewerCode: they are of a later version than the task.
        UpgradeFailed: caused by what an upgrade function raised, if the check would take that for its own.
        Exception: what else an upgrade function raises.
    """
    try:
        return contained(request, partial(upgraded, task, version, args, kwargs))
    except NewerVersion as exc:
        raise NeedsNewerCode(str(exc)) from None
    except InvalidArguments as exc:
        raise UpgradeFailed(str(exc)) from exc
