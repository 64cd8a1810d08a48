"""What a row of django-celery-beat asks for: read once, in full, before anything of it is believed.

Rows come from forms, from code and from SQL, and anything may stand in them. What cannot be run is said by field: forms
say it beside the field, all others set the row aside and go on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any

from celery import Task, current_app
from celery.schedules import crontab, solar
from django.db import InterfaceError, OperationalError
from django.db.models import Model
from django.utils.text import Truncator
from django_celery_beat.models import PeriodicTask

from jobs.enqueue.carried import json_text
from jobs.errors import EncryptionError, EnqueueError, InvalidArguments, InvalidOption, UnknownTask
from jobs.schedules.times import Cron, Every, Once, Sun, Timing
from jobs.schedules.zones import UnknownZone
from jobs.tasks.encryption import arguments_of, has_keys
from jobs.tasks.options import Options
from jobs.tasks.registry import registered
from jobs.tasks.routes import placed
from jobs.tasks.task import JobTask
from jobs.tasks.times import expiry

#: What is compared and counted with must be what its column is for.
_TYPES: dict[str, type[Any]] = {"DateTimeField": datetime, "IntegerField": int, "PositiveIntegerField": int}

#: In characters: what is wrong is shown in lists.
FAULT_LENGTH = 500

_KINDS = ("interval", "crontab", "solar", "clocked")


class CannotRun(EnqueueError):
    """Raised for a schedule whose row asks for what cannot be done.

    Attributes:
        faults: what is wrong, by the field at fault; under "" what is wrong with none of them.
    """

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(" ".join(f"{name}: {words}" if name else words for name, words in faults.items()))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule runs, and when.

    Attributes:
        options: those of `apply_async`, without what depends on the time.
    """

    timing: Timing
    task: Task
    args: list[Any]
    kwargs: dict[str, Any]
    options: dict[str, Any]


@dataclass
class _Faults:
    found: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError):
            raise
        except Exception as exc:  # noqa: BLE001 (whatever stands in a row is a fault of the row)
            self.found[name] = _sentence(exc)


def _sentence(exc: Exception) -> str:
    words = Truncator(str(exc) or type(exc).__name__).chars(FAULT_LENGTH)
    return words if words[-1] in ".!?…" else f"{words}."


def plan_of(row: PeriodicTask) -> Plan:
    """Return what a row asks for. Raises CannotRun with all that is wrong with it."""
    faults = _Faults()
    if misfits := _misfits(row):
        raise CannotRun(misfits)
    timing = _timing(row, faults)
    args, kwargs, headers = (
        _json(row, name, kind, faults) for name, kind in (("args", list), ("kwargs", dict), ("headers", dict))
    )
    options = {"headers": {**headers, "periodic_task_name": row.name}, **_expiry(row, faults)}
    task = None
    with faults.at("task"):
        task = _task(row)
    if task is not None:
        options |= _routing(task, row, faults)
    if isinstance(task, JobTask) and not faults.found.keys() & {"args", "kwargs"}:
        _check_arguments(task, args, kwargs, faults)
    if faults.found or task is None or timing is None:
        raise CannotRun(faults.found)
    return Plan(timing, task, args, kwargs, options)


def _misfits(row: Model) -> dict[str, str]:
    """Return which columns hold what they are not for: SQLite keeps whatever it is given."""
    found = {}
    for column in row._meta.concrete_fields:  # noqa: SLF001 (Django's public name for it)
        kind, value = _TYPES.get(column.get_internal_type()), getattr(row, column.attname)
        # What is not saved yet lacks what saving gives it.
        is_lacking = value is None and (column.null or row.pk is None)
        if kind is not None and not is_lacking and not isinstance(value, kind):
            found[column.name] = f"{value!r:.100} is not valid: it must be of the type {kind.__name__}."
    return found


def timing_of(row: PeriodicTask) -> Timing:
    """Return when a row runs, whatever else is wrong with it. Raises CannotRun."""
    faults = _Faults()
    timing = _timing(row, faults)
    if timing is None:
        raise CannotRun(faults.found)
    return timing


def _timing(row: PeriodicTask, faults: _Faults) -> Timing | None:
    given = [kind for kind in _KINDS if getattr(row, f"{kind}_id") is not None or _is_set(row, kind)]
    if len(given) > 1:
        faults.found |= dict.fromkeys(given, f"There are {len(given)} timings; only one can be.")
    elif not given:
        faults.found[""] = f"It has no timing: one of {', '.join(_KINDS)} must be set."
    else:
        with faults.at(given[0]):
            timing = getattr(row, given[0])
            for name, words in _misfits(timing).items():
                raise ValueError(f"{name}: {words}")
            return _TIMINGS[given[0]](timing)
    return None


def _is_set(row: PeriodicTask, kind: str) -> bool:
    """Return whether a timing is set that is not saved yet."""
    return row._meta.get_field(kind).is_cached(row) and getattr(row, kind) is not None  # noqa: SLF001 (Django's public name for it)


def _every(interval: Any) -> Timing:
    period = timedelta(**{interval.period: interval.every})
    if period <= timedelta(0):
        raise ValueError(f"every={interval.every!r} is not valid: the time between two runs must be above zero.")
    return Every(period, _zone())


def _cron(row: Any) -> Timing:
    parsed = crontab(row.minute, row.hour, row.day_of_week, row.day_of_month, row.month_of_year)
    if row.timezone is None or isinstance(row.timezone, UnknownZone):
        name = str(row.timezone or "")
        raise ValueError(f"its time zone {name!r} is not known here. Update tzdata, or correct the crontab.")
    return Cron.reading(parsed, row.timezone)


def _sun(row: Any) -> Timing:
    # Celery's own checks event and place.
    solar(row.event, row.latitude, row.longitude)
    return Sun(row.event, float(row.latitude), float(row.longitude), _zone())


def _once(row: Any) -> Timing:
    return Once(row.clocked_time, _zone())


_TIMINGS: dict[str, Callable[[Any], Timing]] = {"interval": _every, "crontab": _cron, "solar": _sun, "clocked": _once}


def _zone() -> tzinfo:
    zone: tzinfo = current_app.timezone
    return zone


def _json(row: PeriodicTask, name: str, kind: type[Any], faults: _Faults) -> Any:
    """Return what stands as JSON in a field, or nothing of its kind where something else does."""
    found = [kind()]
    with faults.at(name):
        found.append(_read_json(getattr(row, name), kind))
    return found[-1]


def _read_json(text: str | None, kind: type[Any]) -> Any:
    try:
        found = json.loads(text or "null")
    except (ValueError, RecursionError, TypeError) as exc:
        raise InvalidArguments(f"This is not JSON: {exc}.") from None
    if found is None:
        return kind()
    if not isinstance(found, kind):
        wanted = "a list, such as [1, 2]" if kind is list else 'an object, such as {"name": 1}'
        # The value is not repeated: it may be one that its task hides.
        raise InvalidArguments(f"This is no such value: it must be {wanted}.")
    return found


def _expiry(row: PeriodicTask, faults: _Faults) -> dict[str, Any]:
    if row.expires is not None and row.expire_seconds is not None:
        words = "Only one of expires and expire_seconds can be set."
        faults.found |= {"expires": words, "expire_seconds": words}
    if row.expire_seconds is not None:
        if row.expire_seconds < 1:
            faults.found["expire_seconds"] = "It must be above zero: no job could begin in time."
        return {"expires": float(row.expire_seconds)}
    return {} if row.expires is None else {"expires": row.expires}


def _task(row: PeriodicTask) -> Task:
    task = registered().get(row.task)
    if task is None:
        raise UnknownTask(f"No task {row.task!r} is registered here.")
    return task


def _routing(task: Task, row: PeriodicTask, faults: _Faults) -> dict[str, Any]:
    with faults.at("queue"):
        if row.queue and row.queue not in current_app.amqp.queues:
            known = ", ".join(sorted(current_app.amqp.queues))
            raise InvalidOption(f"queue={row.queue!r} is not known: it must be one that a @job names. Known: {known}.")
    if isinstance(task, JobTask):
        with faults.at("priority"):
            placed(task, Options(priority=row.priority), (), {})
        with faults.at("expires"):
            expiry(task, Options(expires=row.expires))
        for name in ("exchange", "routing_key"):
            if getattr(row, name):
                faults.found[name] = "A job goes where its queue is; leave this empty."
    names = ("queue", "priority") if isinstance(task, JobTask) else ("queue", "priority", "exchange", "routing_key")
    return {name: value for name in names if (value := getattr(row, name)) not in (None, "")}


def _check_arguments(task: JobTask, args: list[Any], kwargs: dict[str, Any], faults: _Faults) -> None:
    given = args, kwargs
    with faults.at("kwargs"):
        if task.encrypt and any(given) and not has_keys():
            raise EncryptionError(f"{task.name} encrypts its arguments, and JOBS_ENCRYPTION_KEYS holds no key.")
        given = arguments_of(args, kwargs)
    for name, value in zip(("args", "kwargs"), given, strict=True):
        with faults.at(name):
            json_text(task, name, value)
    if not faults.found.keys() & {"args", "kwargs"}:
        with faults.at("args" if args else "kwargs"):
            task.check_arguments(*given)


def options_now(plan: Plan, now: datetime) -> dict[str, Any]:
    """Return the options of a run that somebody asks for now, which may be after the schedule's end."""
    expires = plan.options.get("expires")
    ended = isinstance(expires, datetime) and expires <= now
    return {name: value for name, value in plan.options.items() if not (ended and name == "expires")}
