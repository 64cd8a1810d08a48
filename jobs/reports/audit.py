"""What `@job` would change for a plain Celery task: its options, and what it does without saying so."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

from django.db.models import Model, QuerySet
from django.http import HttpRequest

from jobs.core.canonical import encode
from jobs.core.priority import on_the_wire
from jobs.core.queue_names import RULE, is_queue_name
from jobs.reports.plain_tasks import PlainTask, plain_tasks
from jobs.tasks.declare import JobOptions
from jobs.tasks.task import JobTask

#: What `@job` takes.
KNOWN = frozenset(JobOptions.__annotations__)

#: Celery's options that have no place in `@job`, and why nobody misses them.
NEEDLESS = {
    **dict.fromkeys(
        ("acks_late", "reject_on_worker_lost", "retry_on_worker_lost", "visibility_timeout"),
        "a job whose worker died is tried again by its lease, whatever was acknowledged",
    ),
    **dict.fromkeys(
        ("acks_on_failure", "acks_on_timeout", "acks_on_failure_or_timeout"),
        "what failed is tried again or dead-lettered by the ledger, never by the broker",
    ),
    **dict.fromkeys(
        ("track_started", "trail", "send_events", "store_errors_even_if_ignored", "store_eager_result"),
        "the ledger always has state, errors and children",
    ),
    "backend": "what a job returns is kept in its row",
    "resultrepr_maxsize": "results are shown cut, and not at all where the task hides arguments",
    "compression": "arguments are kept in the ledger; store large data and pass its id",
    **dict.fromkeys(
        ("exchange", "exchange_type", "routing_key", "delivery_mode"), "a job is sent to a queue: say queue="
    ),
}

#: No argument of these types is JSON; what a row says may also be another thing by the next attempt.
NO_ARGUMENTS = (Model, QuerySet, HttpRequest, bytes, bytearray, set, frozenset, complex)

#: How the automatic retry of Celery waits where a task says nothing:
#: https://docs.celeryq.dev/en/stable/userguide/tasks.html#automatic-retry-for-known-exceptions
_CELERYS_RETRY = {"retry_backoff_max": 600, "retry_jitter": True}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that `@job` changes.

    Attributes:
        about: the option, or the part of the task, that means something else.
        today: its value now.
        then: what becomes of it.
        keep: options of `@job` that leave it as it is, by name.
    """

    about: str
    today: str
    then: str
    keep: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Audited:
    """A plain task, what `@job` would change for it, and the declaration that changes least."""

    name: str
    where: str
    declaration: str
    changes: list[Change]


def audit() -> list[Audited]:
    """Return what `@job` would change for each plain task of the project."""
    return [_audited(task) for task in plain_tasks()]


def _audited(task: PlainTask) -> Audited:
    changes = [change for rule in _RULES for change in rule(task)]
    options: dict[str, Any] = {"name": task.name} if task.is_named else {}
    options |= {"bind": True} if task.is_bound and not task.is_class else {}
    options |= {"pydantic": True} if task.takes_pydantic else {}
    options |= {name: value for name, value in task.said.items() if name in KNOWN}
    for change in changes:
        options |= change.keep
    said = ", ".join(f"{name}={_spelled(value)}" for name, value in options.items())
    return Audited(task.name, task.where, f"@job({said})" if said else "@job", changes)


def _retries(task: PlainTask) -> Iterator[Change]:
    said = task.said
    if not said.get("autoretry_for"):
        keep: dict[str, Any] = {"autoretry_for": ()}
        if "retry" in task.called:
            keep |= {"max_retries": task.task.max_retries, "default_retry_delay": task.task.default_retry_delay}
            keep["retry_backoff"] = False
        yield Change(
            "autoretry_for", "nothing", "any exception is retried, after 1, 2, 4, 8 and 16 s; then a dead letter", keep
        )
        return
    if "max_retries" not in said:
        most = said.get("retry_kwargs", {}).get("max_retries", task.task.max_retries)
        yield Change("max_retries", str(most), f"{JobTask.max_retries}", {"max_retries": most})
    yield from _delays(task)


def _delays(task: PlainTask) -> Iterator[Change]:
    """Yield how the waits between attempts of an automatic retry change."""
    said = task.said
    if not said.get("retry_backoff"):
        wait = said.get("retry_kwargs", {}).get("countdown", task.task.default_retry_delay)
        keep = {"retry_backoff": False, "default_retry_delay": wait}
        yield Change("retry_backoff", f"{wait} s before each retry", "1, 2, 4, 8 and 16 s", keep)
        return
    for name, value in _CELERYS_RETRY.items():
        if name not in said:
            yield Change(name, f"{value}", f"{getattr(JobTask, name)}", {name: value})


def _throws(task: PlainTask) -> Iterator[Change]:
    expected = tuple(task.said.get("throws", ()))
    if expected:
        yield Change(
            "throws",
            _spelled(expected),
            "no option of @job: raise Permanent, or have them not retried",
            {} if not task.said.get("autoretry_for") else {"dont_autoretry_for": expected},
        )


def _time_limit(task: PlainTask) -> Iterator[Change]:
    limit = task.task.time_limit
    if limit is None:
        yield Change("time_limit", "none", f"{JobTask.time_limit} s, then the attempt has failed", {"time_limit": None})
    elif "time_limit" not in task.said:
        yield Change(
            "time_limit",
            f"{limit} s, by CELERY_TASK_TIME_LIMIT",
            f"{JobTask.time_limit} s: @job goes before settings",
            {"time_limit": limit},
        )


def _worker_lost(task: PlainTask) -> Iterator[Change]:
    if not task.task.acks_late:
        yield Change(
            "acks_late",
            "off: what a dying worker ran is lost",
            "a job that its worker did not end runs again, perhaps after its effect: key that by self.request.id",
        )


def _result(task: PlainTask) -> Iterator[Change]:
    if not task.task.ignore_result:
        yield Change(
            "ignore_result",
            "off: the result is kept",
            "not kept unless the task says so; then as JSON, as long as the job's row",
            {"ignore_result": False},
        )


def _priority(task: PlainTask) -> Iterator[Change]:
    priority = task.said.get("priority")
    if priority is None:
        return
    meant = on_the_wire(priority, task.task.app.connection_for_write().transport.driver_type)
    if meant != priority:
        yield Change("priority", f"{priority}: 0 comes first on this broker", "9 comes first", {"priority": meant})


def _rate(task: PlainTask) -> Iterator[Change]:
    rate = task.said.get("rate_limit")
    if rate is not None:
        yield Change("rate_limit", f"{rate} for each worker", f"{rate} over all workers together")


def _serializer(task: PlainTask) -> Iterator[Change]:
    if task.task.serializer != "json":
        yield Change("serializer", f"{task.task.serializer}", "arguments are JSON: pass ids, not objects")


def _arguments(task: PlainTask) -> Iterator[Change]:
    """Yield the parameters whose defaults, or whose types, say that they are given what is no JSON."""
    hints = _hints(task.function)
    for name, parameter in inspect.signature(task.function).parameters.items():
        refused = [one.__name__ for one in _types(hints.get(name)) if issubclass(one, NO_ARGUMENTS)]
        if refused:
            yield Change(f"argument {name}", ", ".join(refused), "arguments are JSON: pass an id, a text or a list")
        elif parameter.default is not parameter.empty and not _is_json(parameter.default):
            kind = type(parameter.default).__name__
            yield Change(f"argument {name}", f"{kind} by default", "what is given at the call must be JSON")


def _queue(task: PlainTask) -> Iterator[Change]:
    queue = task.said.get("queue")
    if queue is not None and not is_queue_name(str(queue)):
        yield Change("queue", f"{queue}", f"refused: a queue's name must be {RULE}")


def _function(task: PlainTask) -> Iterator[Change]:
    if inspect.isgeneratorfunction(task.function) or inspect.isasyncgenfunction(task.function):
        yield Change("function", "a generator", "refused: nobody would run its body")
    if task.is_class:
        yield Change("class", type(task.task).__name__, "@job decorates a function: make its run() one")
    for base in task.bases:
        yield Change("base", base.__name__, f"no option of @job: what it does{_hooks(base)} moves into the function")
    if "update_state" in task.called:
        yield Change("update_state()", "a state of the task's own", "states are the engine's: say progress(…)")


def _options(task: PlainTask) -> Iterator[Change]:
    """Yield the options that `@job` refuses."""
    for name, value in task.said.items():
        if name not in KNOWN and name not in {"throws", "serializer", "retry_kwargs"}:
            why = NEEDLESS.get(name, "@job has no such option; no attribute of the task is kept")
            yield Change(name, _spelled(value), f"leave it away: {why}")


_RULES: tuple[Callable[[PlainTask], Iterator[Change]], ...] = (
    *(_function, _queue, _retries, _throws, _time_limit, _worker_lost, _result),
    *(_rate, _priority, _serializer, _arguments, _options),
)


def _hooks(base: type) -> str:
    names = [name for name, value in vars(base).items() if callable(value) and not name.startswith("__")]
    return f" ({', '.join(sorted(names))})" if names else ""


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except Exception:  # noqa: BLE001 (an annotation can be any code, and name what only type checkers import)
        return {}


def _types(hint: Any) -> Iterator[type]:
    """Yield the classes that an annotation names, those inside unions and containers too."""
    origin = get_origin(hint) or hint
    if isinstance(origin, type):
        yield origin
    for inner in get_args(hint):
        yield from _types(inner)


def _is_json(value: Any) -> bool:
    try:
        encode(value)
    except (TypeError, ValueError):
        return False
    return True


def _spelled(value: Any) -> str:
    """Return a value as one writes it in the declaration."""
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, (tuple, list)):
        inside = ", ".join(_spelled(one) for one in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return repr(value)
