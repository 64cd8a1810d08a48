"""What a caller may say about one job besides its arguments, and what each of these can be."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from uuid_utils.compat import uuid7

from jobs.core.delivery import LONGEST_NAME, can_be_carried, is_header_name
from jobs.core.properties import PROPERTIES, why_not
from jobs.core.retry import TOO_LONG
from jobs.errors import InvalidOption

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

#: The longest correlation id, and name to show instead of a task's own.
NAME_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may say about one job besides its arguments. The names are those of Celery's `apply_async`.

    Attributes:
        task_id: the job's id; a new UUIDv7 where None.
        queue, priority: where not the task's own.
        countdown: seconds from now until it may run.
        eta: the time from when it may run, instead of `countdown`.
        expires: seconds from now, or the time, after which it must not begin any more.
        deadline: seconds from now, or the time, by which its last attempt must have ended.
        max_retries: attempts after the first, or None for no limit, where not the task's own (`...`).
        unique: a key, names of arguments, or true for task and arguments, instead of the task's own: while a job of
            the task with this key waits to begin, the call returns that job.
        uniqueness: what the call says of that besides, by the names of `UniqueRule`.
        message: what else goes into the message.
    """

    task_id: str | None = None
    queue: str | None = None
    priority: int | None = None
    countdown: float | None = None
    eta: datetime | None = None
    expires: float | datetime | None = None
    deadline: float | datetime | None = None
    correlation_id: str | None = None
    max_retries: int | EllipsisType | None = ...
    replay_of: uuid.UUID | None = None
    unique: str | bool | tuple[str, ...] | None = None
    uniqueness: Mapping[str, Any] = field(default_factory=dict)
    message: dict[str, Any] = field(default_factory=dict)


#: Options that say how long a job is unique, and what a further call does.
UNIQUENESS = ("until", "within", "replace", "max_delay")

#: Options of `apply_async` that say something of a job.
_OF_JOBS = frozenset(
    {
        *("queue", "priority", "countdown", "eta", "expires", "unique", "correlation_id", "headers", "shadow"),
        *("link", "link_error", "max_retries", "time_limit", "soft_time_limit", "deadline", *UNIQUENESS),
        *PROPERTIES,
        # What canvas passes on.
        *("chain", "chord", "group_id", "group_index", "root_id", "parent_id", "replaced_task_nesting"),
        *("stamped_headers", "add_to_parent", "ignore_result"),
        # What Beat passes on.
        "periodic_task_name",
    }
)

#: Options about how a message is sent, and `throw`, which is about eager calls. They may be given and change nothing:
#: the dispatcher sends it.
_OF_SENDING = frozenset(
    {"producer", "publisher", "connection", "retry", "retry_policy", "throw", "argsrepr", "kwargsrepr"}
)

#: Options that would change where or how a message goes, which is the queue's business; and what to say instead.
_REFUSED = {
    "exchange": "a job is sent to a queue; say queue=",
    "routing_key": "a job is sent to a queue; say queue=",
    "compression": "a job's arguments are kept in the ledger; store large data and pass its id",
    "content_type": "a job's arguments are JSON",
}


def options_of(task: "JobTask", options: Mapping[str, Any], task_id: str | None, message: dict[str, Any]) -> Options:
    """Return what was given to `apply_async`; `message` is what goes into the message as it is.

    Raises:
        InvalidOption: for an option that nobody knows, or that has no meaning for a job.
    """
    _check_names(task, options)
    return Options(
        task_id=task_id,
        queue=queue_name(options.get("queue")),
        priority=options.get("priority"),
        countdown=options.get("countdown"),
        eta=options.get("eta"),
        expires=options.get("expires"),
        deadline=options.get("deadline"),
        correlation_id=options.get("correlation_id"),
        max_retries=options.get("max_retries", ...),
        unique=options.get("unique"),
        uniqueness={name: options[name] for name in UNIQUENESS if options.get(name) is not None},
        message=message,
    )


def _check_names(task: "JobTask", options: Mapping[str, Any]) -> None:
    stamps = options.get("stamped_headers") or ()
    for name, value in options.items():
        if name in _OF_JOBS or name in _OF_SENDING or name in stamps or value is None:
            continue
        if name == "serializer":
            if value == "json":
                continue
            raise InvalidOption(f"{task.name}: serializer={value!r} is not valid: a job's arguments are JSON.")
        if name in _REFUSED:
            raise InvalidOption(f"{task.name}: {name}={value!r:.100} has no meaning: {_REFUSED[name]}.")
        raise InvalidOption(
            f"{task.name}: apply_async has no option {name!r}. It takes: {', '.join(sorted(_OF_JOBS))}."
        )


def queue_name(queue: Any) -> str | None:
    """Return the name of a queue, given as such or as a queue of Kombu's."""
    name: str | None = getattr(queue, "name", queue)
    return name


def job_id_of(task: "JobTask", given: str | None) -> uuid.UUID:
    """Return the id of a new job. Raises InvalidOption where the one given is no UUID."""
    if given is None:
        return uuid7()
    try:
        return uuid.UUID(str(given))
    except ValueError:
        raise InvalidOption(f"{task.name}: task_id={given!r} is not valid: a job's id must be a UUID.") from None


def retries_of(task: "JobTask", given: Any) -> int | None:
    """Return how often a job is tried again at most, None for no limit. Raises InvalidOption for what is no number."""
    most: int | None = task.max_retries if given is ... else given
    if most is not None and not (type(most) is int and most >= 0):
        raise InvalidOption(
            f"{task.name}: max_retries={most!r} is not valid: it must be a whole number, zero or more, or None for no"
            " limit."
        )
    return most


def check_carried(task: "JobTask", options: Options) -> None:
    """Check what the message only carries: a worker could not say who gave it a wrong one. Raises InvalidOption."""
    carried = options.message
    _check_limits_of_call(task, carried)
    _check_links(task, carried)
    _check_ignore_result(task, carried.get("ignore_result"))
    if not isinstance(carried.get("headers") or {}, Mapping):
        raise InvalidOption(f"{task.name}: headers={carried['headers']!r} is not valid: it must be a mapping.")
    for name, value in (carried.get("headers") or {}).items():
        if not (is_header_name(name) and can_be_carried(value)):
            raise InvalidOption(
                f"{task.name}: the header {name!r:.100} is not valid: a name is a text of at most {LONGEST_NAME} bytes,"
                " and its value what every broker can carry, such as texts, lists, mappings and numbers of 64 bits."
            )
    for name, value in (carried.get("properties") or {}).items():
        if rule := why_not(name, value):
            raise InvalidOption(f"{task.name}: {name}={value!r:.300} is not valid: {rule}.")
    for name, value in (("shadow", carried.get("shadow")), ("correlation_id", options.correlation_id)):
        if value is not None and not (isinstance(value, str) and len(value) <= NAME_LENGTH and value.isprintable()):
            raise InvalidOption(
                f"{task.name}: {name}={value!r} is not valid: it must be a text of at most {NAME_LENGTH} printable"
                " characters."
            )


def _check_limits_of_call(task: "JobTask", carried: Mapping[str, Any]) -> None:
    for name in ("time_limit", "soft_time_limit"):
        limit = carried.get(name)
        if limit is not None and not (type(limit) in {int, float} and 0 < limit < TOO_LONG):
            raise InvalidOption(f"{task.name}: {name}={limit!r} is not valid: it must be seconds above zero.")
    check_limits(
        task.name,
        carried.get("soft_time_limit") or task.soft_time_limit,
        carried.get("time_limit") or task.time_limit,
    )


def _check_links(task: "JobTask", carried: Mapping[str, Any]) -> None:
    for name in ("link", "link_error"):
        for link in carried.get(name) or ():
            if not (isinstance(link, Mapping) and isinstance(link.get("task"), str)):
                raise InvalidOption(
                    f"{task.name}: {name}={link!r:.200} is not valid: it must be a signature, task.s(…)."
                )


def check_limits(name: str, soft: float | None, hard: float | None) -> None:
    """Raise InvalidOption where a soft limit could never be reached. The words of the rule are Celery's."""
    if soft and hard and soft > hard:
        raise InvalidOption(
            f"{name}: soft_time_limit={soft!r} is not valid: soft_time_limit must be less than or equal to time_limit,"
            f" which is {hard:g} s, or the job would be ended before it is warned; give time_limit= as well."
        )


def _check_ignore_result(task: "JobTask", given: object) -> None:
    if given is not None and not isinstance(given, bool):
        raise InvalidOption(f"{task.name}: ignore_result={given!r} is not valid: it must be true or false.")
    if given is False and task.batch:
        raise InvalidOption(
            f"{task.name}: ignore_result=False has no meaning: the task takes batches, and one call has no result for"
            " each job."
        )
