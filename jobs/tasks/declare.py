"""`@job`: what a task may say of its jobs, and what each of these can be."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Literal, ParamSpec, TypedDict, TypeVar, Unpack, cast, overload

from celery import shared_task

from jobs.core.breaker import Breaker
from jobs.core.limits import MOST_JOBS, RULE as LIMIT_RULE, is_rate
from jobs.core.priority import PRIORITIES
from jobs.core.public_rate import RULE as RATE_RULE, is_public_rate
from jobs.core.queue_names import RULE, is_queue_name
from jobs.core.retry import MOST_TIMES, TOO_LONG
from jobs.core.unique_rule import UniqueRule
from jobs.core.versions import MOST as MOST_VERSIONS, is_version
from jobs.errors import InvalidOption
from jobs.tasks import aliases, breakers, encryption, limits
from jobs.tasks.keys import RULE as KEY_RULE, Key, check_key, is_key
from jobs.tasks.options import UNIQUENESS, check_limits
from jobs.tasks.task import JobTask
from jobs.tasks.uniqueness import check_names
from jobs.tasks.versions import check_chain


class TaskOptions(TypedDict, total=False):
    """What `@job` takes besides `bind`, `batch` and `batch_wait`.

    Names that Celery has keep its meaning; durations are in seconds.
    """

    name: str
    queue: str
    priority: int
    autoretry_for: tuple[type[BaseException], ...]
    dont_autoretry_for: tuple[type[BaseException], ...]
    max_retries: int | None
    retry_backoff: float | bool
    #: How many times the delay before each further delay is: 2, or 5 for 1, 5, 25 s.
    retry_backoff_factor: float
    retry_backoff_max: float
    retry_jitter: float | bool
    default_retry_delay: float
    soft_time_limit: float | None
    time_limit: float | None
    expires: float | None
    #: Seconds from its call by which a job's last attempt must have ended.
    deadline: float | None
    pydantic: bool
    #: A template such as `"post:{post_id}"`, names of arguments, or true for task and arguments: while such a job waits
    #: to begin, another call returns that job instead of enqueueing a second one.
    unique: str | bool | tuple[str, ...]
    #: `"begun"`, or `"done"` where a job is unique until it has succeeded or given up.
    until: str
    #: Seconds from its call for which a job is unique at least, also where it has succeeded by then.
    within: float | None
    #: What another call changes of the job that waits: `"kwargs"` (all its arguments), `"run_at"`.
    replace: tuple[str, ...]
    #: With `replace=("run_at",)`: how many seconds after the first call further ones can put the job off at most.
    max_delay: float | None
    #: How many jobs of it may begin, over all workers: `"100/s"`, `"10/m"`, `"1/h"`, or a number by the second.
    rate_limit: str | float | None
    #: How many of these may begin at one moment after a pause; 1 for an even flow.
    burst: int
    #: How many of its jobs run at once at most, over all workers.
    concurrency: int | None
    #: What its jobs are told apart by, each with these limits of its own: an argument's name, a template of names, or a
    #: callable that takes the arguments.
    key: Key | None
    #: The dependency without which its jobs are in vain: while its breaker is open they wait, without an attempt. Its
    #: name does where another task has declared the breaker before.
    breaker: Breaker | str | None
    #: Whose its jobs are: as `key`. Waiting jobs of one queue are claimed in turns by tenant, and can be paused by it.
    tenant: Key | None
    #: Names of arguments that nobody is shown, or true for all.
    redact: tuple[str, ...] | bool
    #: Whether its arguments, results and steps are kept encrypted, by JOBS_ENCRYPTION_KEYS; nobody is shown them.
    encrypt: bool
    #: Whether clients may submit it over HTTP.
    public: bool
    #: How many jobs of it one client may submit in a stretch of time: `"1000/h"`; None for no limit of its own.
    public_rate: str | None
    #: Whether what the function returns is not kept; if false, `AsyncResult.get()` returns it.
    ignore_result: bool
    #: Seconds to keep its finished jobs; the engine's own retention where None.
    retention: float | None
    #: The names it had before: what comes under one of these is the task's.
    aliases: tuple[str, ...] | list[str]
    #: The version of its arguments, counted from 1.
    version: int
    #: How arguments of an earlier version become those of the next, by that version: a function that takes what the
    #: task took then, and returns what the next version takes, by name.
    upgrade: Mapping[int, Callable[..., Mapping[str, Any]]]


class JobOptions(TaskOptions, total=False):
    """What `@job` takes."""

    bind: bool
    #: How many waiting jobs of the task one call takes at most; the function then takes a `Batch`.
    batch: int
    #: How many seconds the first of them waits for others at most, once a worker has it.
    batch_wait: float


#: The largest `batch`: a worker claims so many jobs at one moment, and holds them in memory.
LARGEST_BATCH = 10_000

#: The longest `batch_wait`, in seconds.
LONGEST_WAIT = 300

P = ParamSpec("P")
R = TypeVar("R")


@overload
def job(function: Callable[P, R], /) -> JobTask[P, R]: ...
@overload
def job(
    *, batch: int, batch_wait: float = ..., bind: bool = ..., **options: Unpack[TaskOptions]
) -> Callable[[Callable[..., Any]], JobTask[..., Any]]: ...
@overload
def job(
    *, bind: Literal[True], **options: Unpack[TaskOptions]
) -> Callable[[Callable[Concatenate[Any, P], R]], JobTask[P, R]]: ...
@overload
def job(*, bind: Literal[False] = ..., **options: Unpack[TaskOptions]) -> Callable[[Callable[P, R]], JobTask[P, R]]: ...
def job(*functions: Callable[..., Any], **options: Unpack[JobOptions]) -> Any:
    """Make a function a task whose calls are jobs: `@job` or `@job(queue="email", max_retries=5)`.

    Args:
        functions: the function, where `@job` stands without parentheses.
        options: see `JobOptions`; DESIGN's words, Celery's names. Defaults: queue `default`, priority 5,
            5 retries after 1, 2, 4, 8 and 16 s for any exception, time limit 30 s.

    Returns:
        A Celery task (`JobTask`), registered with every Celery application.

    Raises:
        InvalidOption: for an option `@job` does not know, or a value it cannot have.
    """
    _check_options(options)
    if (breaker := options.get("breaker")) is not None:
        options["breaker"] = breakers.declare(breaker)
    rule = _unique_rule(options)
    # A task has a method `replace`.
    others = {name: value for name, value in options.items() if name not in UNIQUENESS}
    for name in ("key", "tenant"):
        if callable(others.get(name)):
            # An attribute of the task's class, and no method of it.
            others[name] = staticmethod(cast("Callable[..., object]", others[name]))
    if options.get("encrypt"):
        others["redact"] = True
    register = shared_task(base=JobTask, unique_rule=rule, **others)

    def declare(function: Callable[..., Any]) -> Any:
        _check_function(function)
        check_chain(options.get("version", 1), options.get("upgrade", {}), f"@job {function.__qualname__}")
        name = options.get("name") or f"{function.__module__}.{function.__name__}"
        aliases.declare(function, name, options.get("aliases", ()))
        if "batch" not in options:
            # Those of a batch's jobs are known when the type of its items is.
            names = list(inspect.signature(function).parameters)[1 if options.get("bind") else 0 :]
            check_names(rule.by, names, f"@job {function.__qualname__}")
            for option in ("key", "tenant"):
                check_key(option, options.get(option), function, bind=bool(options.get("bind")))
        limits.note(name, options)
        if options.get("encrypt"):
            encryption.note(name)
        return register(function)

    return declare(functions[0]) if functions else declare


def _unique_rule(options: JobOptions) -> UniqueRule:
    said: dict[str, Any] = {name: options[name] for name in UNIQUENESS if name in options}  # type: ignore[literal-required]
    rule = UniqueRule(by=options.get("unique", False), **said)
    if problem := rule.problem():
        raise InvalidOption(f"@job: {problem}.")
    return rule


def _check_function(function: Callable[..., Any]) -> None:
    """Refuse a function whose call does nothing: only who iterates a generator runs its body."""
    body = inspect.unwrap(function)
    if inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body):
        raise InvalidOption(
            f"@job: {function.__qualname__} is a generator function, whose body nobody would run: it must return, or be"
            " `async def` without yield."
        )


def _check_options(options: Mapping[str, Any]) -> None:
    known = JobOptions.__annotations__ | TaskOptions.__annotations__
    for name, value in options.items():
        if name not in known:
            raise InvalidOption(f"@job has no option {name!r}. It takes: {', '.join(sorted(known))}.")
        rule = _RULES.get(name)
        if rule is not None and not rule[0](value):
            raise InvalidOption(f"@job: {name}={value!r} is not valid: it must be {rule[1]}.")
    check_limits("@job", options.get("soft_time_limit"), options.get("time_limit", JobTask.time_limit))
    if "burst" in options and options.get("rate_limit") is None:
        raise InvalidOption("@job: burst= says nothing without rate_limit=, whose jobs may begin together.")
    if "batch_wait" in options and "batch" not in options:
        raise InvalidOption("@job: batch_wait= says nothing without batch=, whose jobs may be called together.")
    if "batch" in options and not options.get("ignore_result", True):
        raise InvalidOption(
            "@job: ignore_result=False and batch= exclude each other: one call has no result for each job."
        )


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _seconds(value: object) -> bool:
    return value is None or (_number(value) and 0 < cast("float", value) < TOO_LONG)


def _are_upgrades(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        is_version(number) and callable(function) for number, function in value.items()
    )


def _exceptions(value: object) -> bool:
    return isinstance(value, (tuple, list)) and all(
        isinstance(item, type) and issubclass(item, BaseException) for item in value
    )


def _count(value: object) -> bool:
    return type(value) is int and 1 <= value <= MOST_JOBS


def _fraction(value: object) -> bool:
    return isinstance(value, bool) or (_number(value) and 0 <= cast("float", value) < 1)


_RULES: dict[str, tuple[Callable[[object], bool], str]] = {
    "queue": (is_queue_name, RULE),
    "priority": (lambda value: type(value) is int and value in PRIORITIES, "a whole number from 0 to 9"),
    "max_retries": (
        lambda value: value is None or (type(value) is int and value >= 0),
        "a whole number, zero or more, or None for no limit",
    ),
    "retry_backoff": (
        lambda value: isinstance(value, bool) or (_number(value) and 0 <= cast("float", value) < TOO_LONG),
        "seconds, or true or false",
    ),
    "retry_backoff_factor": (
        lambda value: _number(value) and 1 <= cast("float", value) <= MOST_TIMES,
        f"a number from 1 to {MOST_TIMES}",
    ),
    "retry_backoff_max": (lambda value: value is not None and _seconds(value), "seconds above zero"),
    "retry_jitter": (_fraction, "true, false, or a share below 1"),
    "default_retry_delay": (lambda value: value is not None and _seconds(value), "seconds above zero"),
    "rate_limit": (lambda value: value is None or is_rate(value), f"{LIMIT_RULE}, or None"),
    "burst": (_count, "a whole number, one or more"),
    "concurrency": (lambda value: value is None or _count(value), "a whole number, one or more, or None"),
    "key": (lambda value: value is None or is_key(value), f"{KEY_RULE}, or None"),
    "breaker": (lambda value: value is None or isinstance(value, (Breaker, str)), "a Breaker, or the name of one"),
    "tenant": (lambda value: value is None or is_key(value), f"{KEY_RULE}, or None"),
    "batch": (
        lambda value: type(value) is int and 2 <= value <= LARGEST_BATCH,
        f"a whole number from 2 to {LARGEST_BATCH:,}",
    ),
    "batch_wait": (
        lambda value: _number(value) and 0 < cast("float", value) <= LONGEST_WAIT,
        f"seconds above zero, at most {LONGEST_WAIT}",
    ),
    "redact": (
        lambda value: isinstance(value, (bool, tuple, list)),
        "true, false, or a tuple of argument names",
    ),
    "encrypt": (lambda value: isinstance(value, bool), "true or false"),
    "ignore_result": (lambda value: isinstance(value, bool), "true or false"),
    "public": (lambda value: isinstance(value, bool), "true or false"),
    "public_rate": (lambda value: value is None or is_public_rate(value), f"{RATE_RULE}, or None"),
    "retention": (_seconds, "seconds above zero, or None"),
    "aliases": (aliases.are_aliases, "a tuple or list of names, each of 1 to 200 printable characters"),
    "version": (is_version, f"a whole number from 1 to {MOST_VERSIONS:,}"),
    "upgrade": (_are_upgrades, "a mapping of versions to functions"),
    "time_limit": (_seconds, "seconds above zero, or None"),
    "soft_time_limit": (_seconds, "seconds above zero, or None"),
    "expires": (_seconds, "seconds above zero, or None"),
    "deadline": (_seconds, "seconds above zero, or None"),
    "autoretry_for": (_exceptions, "a tuple of exception classes"),
    "dont_autoretry_for": (_exceptions, "a tuple of exception classes"),
}
