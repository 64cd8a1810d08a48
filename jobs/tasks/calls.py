"""What callers give and get: arguments and options as they come, and the result they hold in their hands."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celery import states
from celery.result import AsyncResult
from django.apps import apps

from jobs.core.properties import PROPERTIES
from jobs.errors import InvalidArguments

if TYPE_CHECKING:
    from jobs.models import Job


class JobResult(AsyncResult):
    """What `.delay()` returns: Celery's result, and the job behind it.

    Attributes:
        is_new: whether the call wrote the job; false where it found one with its unique key, or its id. None where
            nobody called: `AsyncResult(id)` of a job.
    """

    is_new: bool | None = None

    @property
    def job(self) -> "Job":
        """The job's row, read anew. Raises Job.DoesNotExist where the transaction was rolled back."""
        job: Job = apps.get_model("jobs", "Job").objects.get(pk=self.id)
        return job

    def _get_task_meta(self) -> dict[str, Any]:
        """Return its record; where it was never enqueued, since a step before it has failed, that of this step."""
        meta: dict[str, Any] = super()._get_task_meta()
        if meta["status"] != states.PENDING or (failed := self._failed_before()) is None:
            return meta
        # Not kept: when that step is run again, this one may be, too.
        return {**failed, "task_id": self.id, "children": []}

    def _failed_before(self) -> dict[str, Any] | None:
        node = self.parent
        while node is not None:
            # Of a group too: it may be a chord's body.
            meta: dict[str, Any] = self.backend.get_task_meta(node.id)
            if meta["status"] in states.PROPAGATE_STATES:
                return meta
            if meta["status"] != states.PENDING:
                return None
            node = node.parent
        return None


def plain_arguments(
    task_name: str, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call, none for None. Raises InvalidArguments for what are no arguments."""
    if args is not None and (isinstance(args, (str, bytes)) or not isinstance(args, Iterable)):
        raise InvalidArguments(f"{task_name}: args={args!r} is not valid: it must be a list or tuple.")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise InvalidArguments(f"{task_name}: kwargs={kwargs!r} is not valid: it must be a mapping.")
    return tuple(args or ()), dict(kwargs or {})


def message_of(options: Mapping[str, Any], *, link: Any, link_error: Any) -> dict[str, Any]:
    """Return what the message of a job carries of these options, under Celery's names."""
    message = {**options, "link": _listed(link), "link_error": _listed(link_error)}
    message["properties"] = {name: options[name] for name in PROPERTIES if options.get(name) is not None}
    if names := options.get("stamped_headers"):
        # https://docs.celeryq.dev/en/stable/userguide/canvas.html#stamping
        stamps = {"stamped_headers": list(names), "stamps": {name: options[name] for name in names if name in options}}
        message["headers"] = {**(options.get("headers") or {}), **stamps}
    return message


def _listed(signature: Any) -> list[Any] | None:
    """Return links as Celery's message wants them: a list of signatures, or None."""
    if signature is None:
        return None
    return list(signature) if isinstance(signature, (list, tuple)) else [signature]


def arguments_of(index: int, call: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments of a call as `delay_many` takes them. Raises InvalidArguments, naming its place."""
    if isinstance(call, Mapping):
        return (), call
    if isinstance(call, Sequence) and not isinstance(call, (str, bytes)):
        return call, {}
    raise InvalidArguments(f"Job {index}: {call!r:.200} is not valid: it must be a mapping or a sequence of arguments.")
