"""When a job may run, expires and must have ended: what a caller says of that, as seconds from now or as a time."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from celery import Task
from django.utils import timezone
from django.utils.timezone import is_naive

from jobs.core.moments import EARLIEST, LATEST, is_possible
from jobs.core.retry import TOO_LONG
from jobs.errors import InvalidOption
from jobs.ledger.enqueue import database_time, has_come
from jobs.tasks.options import Options

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask


def ahead(task: "JobTask", options: Options) -> Options:
    """Return the options without a time that has come. The database's clock decides: ours may be wrong.

    Raises:
        InvalidOption: as `due`.
    """
    _, run_at = due(task, options)
    return replace(options, eta=None) if run_at is not None and has_come(run_at) else options


def due(task: "JobTask", options: Options) -> tuple[float | None, datetime | None]:
    """Return in how many seconds, or when, a job may run; neither where at once. Raises InvalidOption for no time."""
    countdown, eta = options.countdown, options.eta
    if countdown is not None and eta is not None:
        raise InvalidOption(f"{task.name}: countdown={countdown!r} and eta={eta!r} exclude each other; give one.")
    if eta is not None:
        return None, moment(task, "eta", eta)
    if countdown is None:
        return None, None
    wait = seconds(task, "countdown", countdown)
    return (wait or None), None


def expiry(task: "JobTask", options: Options) -> tuple[float | None, datetime | None]:
    """Return after how many seconds, or when, a job has expired. Raises InvalidOption for what is no time."""
    return _in_or_at(task, "expires", options.expires if options.expires is not None else task.expires)


def deadline(task: "JobTask", options: Options) -> tuple[float | None, datetime | None]:
    """Return in how many seconds, or when, a job's last attempt must have ended.

    Raises:
        InvalidOption: it is no time, or no attempt could begin before it.
    """
    given = options.deadline if options.deadline is not None else task.deadline
    seconds_from_now, at = _in_or_at(task, "deadline", given)
    delay, run_at = due(task, options)
    # Two times, or two stretches of time, compare by themselves; a time with a stretch by the database's clock alone.
    is_mixed = given is not None and (at is None) is not (run_at is None)
    now = database_time() if is_mixed else timezone.now()
    ends_at = at if seconds_from_now is None else now + timedelta(seconds=seconds_from_now)
    if ends_at is not None and (run_at or now + timedelta(seconds=delay or 0)) >= ends_at:
        raise InvalidOption(
            f"{task.name}: deadline={given!r} is not valid: it passes before the job may begin; give a later one."
        )
    return seconds_from_now, at


def _in_or_at(task: "JobTask", name: str, value: object) -> tuple[float | None, datetime | None]:
    if value is None:
        return None, None
    if isinstance(value, datetime):
        return None, moment(task, name, value)
    return seconds(task, name, value), None


def seconds(task: Task, name: str, value: object) -> float:
    """Return a number of seconds given as option `name`. Raises InvalidOption where it is none."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < TOO_LONG:
        raise InvalidOption(f"{task.name}: {name}={value!r} is not valid: it must be seconds, zero or more.")
    return float(value)


def moment(task: Task, name: str, value: object) -> datetime:
    """Return an aware time given as option `name`. Raises InvalidOption where it is none."""
    if not isinstance(value, datetime):
        raise InvalidOption(f"{task.name}: {name}={value!r} is not valid: it must be a datetime.")
    # As in Celery, a naive time is in the application's time zone.
    aware = value.replace(tzinfo=task.app.timezone) if is_naive(value) else value
    if not is_possible(aware):
        raise InvalidOption(
            f"{task.name}: {name}={value!r} is not valid: it must lie between {EARLIEST.year} and {LATEST.year}."
        )
    return aware
